"""MiniLM: Wang et al., "MiniLM: Deep Self-Attention Distillation", 2020, at the task.

L = (1 - alpha) * hard + alpha * soft(T) + beta * (attention + values)

    attention   relation_kl of Q K^T / sqrt d: the attention itself, of the last blocks
    values      relation_kl of V V^T / sqrt d

arXiv 2002.10957, equations 6 to 9; beta's terms alone, on unlabelled text, are the paper's loss.
Means over heads and real tokens; no projection, whatever the widths. The student has as many heads
as its teacher. The paper's teacher assistant is a second study, whose teacher is the first's pick.
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
class MiniLM(Answers):
    """Attention and value relations of the last block, beside the answers."""

    name: ClassVar[str] = "minilm"

    beta: Annotated[float, Ge(0)] = 1.0  # weight of the relations

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses other numbers of heads than the teacher's."""
        if teacher.heads == student.heads:
            return []
        return [
            f"minilm compares attention head by head: the student has {student.heads} heads, its "
            f"teacher {teacher.heads}; minilm2 takes any number"
        ]

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The logits, and Q, K and V of the last blocks."""
        return (
            Needs(logits=True, qkv=(teacher.layers,)),
            Needs(logits=True, qkv=(student.layers,)),
        )

    def inside(
        self, student: Signals, teacher: Signals, heads: nn.Module | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The two relations."""
        where = features.real(student, teacher)
        terms = {}
        for name, left, right in (("attention", 0, 1), ("values", 2, 2)):
            own, given = (
                features.scores(taken[left], taken[right], student.heads)
                for taken in (features.last(student), features.last(teacher))
            )
            terms[name] = (self.beta, features.relation_kl(own, given, where))
        return terms
