"""DistilBERT's triple loss at the task: Sanh, Debut, Chaumond, Wolf, "DistilBERT", 2019.

L = (1 - alpha) * hard + alpha * soft(T) + beta * cos
cos = mean over real tokens of 1 - cos(h_S, h_T), of the last blocks' states

arXiv 1910.01108, and distiller.py of the authors. Their triple is soft + masked language modelling
+ cosine, on unlabelled text, weighted 5 : 2 : 1 at T = 2: that is a study's `general` phase, which
comes before the task. Here the task's labels take the place of the masked words, as in the
authors' second distillation on SQuAD (alpha 0.5, T 2). Where the widths differ, a train-only
projection comes before the cosine (ours; theirs needs equal widths).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt

from tune_distill.methods import features
from tune_distill.methods.answers import Answers
from tune_distill.methods.base import ModelShape
from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class DistilBERT(Answers):
    """The direction of the last states, beside the answers."""

    name: ClassVar[str] = "distilbert"

    temperature: Annotated[float, Gt(0)] = 2.0  # T
    beta: Annotated[float, Ge(0)] = 1.0  # weight of the cosine

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The logits, and the last block's states."""
        return (
            Needs(logits=True, hidden=(teacher.layers,)),
            Needs(logits=True, hidden=(student.layers,)),
        )

    def heads(self, teacher: ModelShape, student: ModelShape) -> nn.Module | None:
        """A projection where the widths differ."""
        from tune_distill.methods.heads import projection

        return projection(teacher, student)

    def inside(
        self, student: Signals, teacher: Signals, heads: nn.Module | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The cosine."""
        from tune_distill.methods.heads import widened

        (own,), (given,) = student.hidden.values(), teacher.hidden.values()
        where = features.real(student, teacher)
        return {"cosine": (self.beta, features.cosine(widened(own, heads), given, where))}
