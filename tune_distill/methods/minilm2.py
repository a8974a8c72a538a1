"""MiniLM v2: Wang et al., "MiniLMv2: Multi-Head Self-Attention Relation Distillation", 2021.

L = (1 - alpha) * hard + alpha * soft(T) + beta * (queries + keys + values)

    queries     relation_kl of Q Q^T / sqrt d; likewise keys and values

arXiv 2012.15828, equations 3 to 5; beta's terms alone, on unlabelled text, are the paper's loss.
The heads of a block are put side by side and cut anew into relation heads, so that student and
teacher may have any numbers of attention heads and any widths. Published: 48 relation heads for a
teacher of 768, 64 for 1024; its last block for base models, one above the middle for large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from tune_distill.methods import features
from tune_distill.methods.answers import Answers
from tune_distill.methods.base import ModelShape, TaskShape
from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class MiniLM2(Answers):
    """Query, key and value relations of one block, beside the answers."""

    name: ClassVar[str] = "minilm2"

    beta: Annotated[float, Ge(0)] = 1.0  # weight of the relations
    relation_heads: Annotated[int, Ge(1)] | None = None  # None: as many as the student's heads
    teacher_layer: Annotated[int, Ge(1)] | None = None  # None: the last

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses relation heads that don't divide both widths, and a layer that isn't there."""
        heads = self.relation_heads or student.heads
        reasons = [
            f"minilm2: {heads} relation heads don't divide the {whose} hidden size {width}"
            for whose, width in (
                ("student's", student.hidden_size),
                ("teacher's", teacher.hidden_size),
            )
            if width % heads
        ]
        if self.teacher_layer is not None and self.teacher_layer > teacher.layers:
            reasons.append(
                f"minilm2: the teacher has {teacher.layers} layers, and no layer "
                f"{self.teacher_layer}"
            )
        return reasons

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The logits, and Q, K and V of one block."""
        return (
            Needs(logits=True, qkv=(self.teacher_layer or teacher.layers,)),
            Needs(logits=True, qkv=(student.layers,)),
        )

    def inside(
        self, student: Signals, teacher: Signals, heads: nn.Module | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The three relations."""
        count = self.relation_heads or student.heads
        where = features.real(student, teacher)
        terms = {}
        for name, own, given in zip(
            ("queries", "keys", "values"),
            features.last(student),
            features.last(teacher),
            strict=True,
        ):
            relation = features.relation_kl(
                features.scores(own, own, count), features.scores(given, given, count), where
            )
            terms[name] = (self.beta, relation)
        return terms
