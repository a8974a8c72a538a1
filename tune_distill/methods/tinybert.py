"""TinyBERT: Jiao et al., "TinyBERT: Distilling BERT for Natural Language Understanding", 2020.

first    L = embedding + sum over k of (hidden[k] + attention[k])       at a constant learning rate
then     L = (1 - alpha) * hard + alpha * soft(T)                       with warm-up and decay

    embedding     mse(W h_S[0], h_T[0])           hidden[k]  mse(W h_S[k], h_T[t(k)])
    attention[k]  mse of the scores before the softmax, over heads and pairs of real tokens

arXiv 1909.10351, and task_distill.py of the authors. W is one train-only projection for all
layers, with a bias, as in the code (the paper has one for the embeddings, one for the blocks), and
nothing where the widths are equal. alpha 1 and T 1 are published; their soft cross-entropy is also
divided by the classes. The scores need equal numbers of heads. Their code's means include padding,
whose scores it sets to 0. Published for SST-2: 20 epochs at 5e-5, then 3 at 3e-5 (of 1 to 3e-5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Le
from pydantic import Field

from tune_distill import layers
from tune_distill.methods import features
from tune_distill.methods.answers import Answers
from tune_distill.methods.base import Batchwise, Method, ModelShape, Phase, TaskShape
from tune_distill.methods.kd import KD
from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


LayerMap = Annotated[str, Field(pattern=layers.PATTERN)]


@dataclass(frozen=True)
class Inside(Method):
    """The first phase: no answers, no labels."""

    name: ClassVar[str] = "tinybert"
    answering: ClassVar[bool] = False

    layer_map: LayerMap = "uniform"

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """States from the embeddings on, and what makes the scores of each block."""
        own = tuple(range(1, student.layers + 1))
        given = layers.mapping(self.layer_map, student.layers, teacher.layers)
        return Needs(hidden=(0, *given), qkv=given), Needs(hidden=(0, *own), qkv=own)

    def loss(
        self, student: Signals, teacher: Signals | None, batch: Batchwise, heads: nn.Module | None
    ) -> dict[str, Tensor]:
        """One term a kind, summed over the layers."""
        import torch

        from tune_distill.methods.heads import widened

        if teacher is None:
            raise ValueError(f"{self.name} needs the teacher's signals")
        where = features.real(student, teacher)
        states = [
            features.mse(widened(student.hidden[k], heads), teacher.hidden[t], where)
            for k, t in zip(sorted(student.hidden), sorted(teacher.hidden), strict=True)
        ]
        attention = [
            features.score_mse(
                features.scores(student.query[k], student.key[k], student.heads),
                features.scores(teacher.query[t], teacher.key[t], student.heads),
                where,
            )
            for k, t in zip(sorted(student.query), sorted(teacher.query), strict=True)
        ]
        terms = {
            "embedding": states[0],
            "hidden": torch.stack(states[1:]).sum(),
            "attention": torch.stack(attention).sum(),
        }
        return {**terms, "total": torch.stack(list(terms.values())).sum()}


@dataclass(frozen=True)
class TinyBERT(Answers):
    """Embeddings, states and attention scores of all layers first; then the answers."""

    name: ClassVar[str] = "tinybert"

    temperature: Annotated[float, Gt(0)] = 1.0  # T
    alpha: Annotated[float, Ge(0), Le(1)] = 1.0  # weight of the soft loss in the second phase
    intermediate: Annotated[float, Gt(0), Le(0.95)] = 0.7  # share of the first phase
    answers_rate: Annotated[float, Gt(0)] = 0.6  # learning rate then, over the first's
    layer_map: LayerMap = "uniform"

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses other numbers of heads than the teacher's, and a map that doesn't fit."""
        reasons = []
        if teacher.heads != student.heads:
            reasons.append(
                f"tinybert compares attention scores head by head: the student has {student.heads} "
                f"heads, its teacher {teacher.heads}; minilm2 takes any number"
            )
        if reason := layers.misfit(self.layer_map, student.layers, teacher.layers):
            reasons.append(f"tinybert: {reason}")
        return reasons

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """Those of both phases."""
        first, then = (phase.method.needs(teacher, student) for phase in self.phases())
        return first[0] | then[0], first[1] | then[1]

    def heads(self, teacher: ModelShape, student: ModelShape) -> nn.Module | None:
        """A projection where the widths differ."""
        from tune_distill.methods.heads import projection

        return projection(teacher, student)

    def phases(self) -> tuple[Phase, ...]:
        """The inside, then the answers."""
        return (
            Phase(Inside(self.layer_map), self.intermediate, warmup=0.0, decay=False),
            Phase(KD(self.temperature, self.alpha), 1 - self.intermediate, rate=self.answers_rate),
        )
