"""What most methods share: the labels and the teacher's softened answers, weighted by alpha.

L = (1 - alpha) * hard + alpha * soft(T) + beta * (a method's own terms on the inside of the model)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le

from tune_distill.methods.base import Batchwise, Method
from tune_distill.methods.losses import hard, soft
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Answers(Method):
    """Base of the methods with a soft loss beside the hard one."""

    temperature: Annotated[float, Gt(0)] = 4.0  # T
    alpha: Annotated[float, Ge(0), Le(1)] = 0.5  # weight of the soft loss

    def answers(self, student: Signals, teacher: Signals, batch: Batchwise) -> dict[str, Tensor]:
        """The terms on the logits."""
        logits, labels = student.scores(), batch.labels
        return {
            "hard": hard(logits, labels),
            "soft": soft(logits, teacher.scores(), self.temperature, labels),
        }

    def weighted(self, terms: dict[str, Tensor]) -> Tensor:
        """Their weighted sum."""
        return (1 - self.alpha) * terms["hard"] + self.alpha * terms["soft"]

    def loss(
        self, student: Signals, teacher: Signals | None, batch: Batchwise, heads: nn.Module | None
    ) -> dict[str, Tensor]:
        """The terms on the logits, those on the inside, and L."""
        if teacher is None:
            raise ValueError(f"{self.name} needs the teacher's signals")
        terms = self.answers(student, teacher, batch)
        total = self.weighted(terms)
        for name, (weight, term) in self.inside(student, teacher, heads).items():
            terms[name] = term
            total = total + weight * term
        return {**terms, "total": total}

    def answered(self, student: Signals, teacher: Signals | None, batch: Batchwise) -> Tensor:
        """The loss without the terms on the inside."""
        if teacher is None:
            raise ValueError(f"{self.name} needs the teacher's signals")
        return self.weighted(self.answers(student, teacher, batch))

    def inside(
        self, student: Signals, teacher: Signals, heads: nn.Module | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The method's own terms by name, each with its weight; what is watched weighs 0."""
        return {}
