"""Fine-tuning without a teacher: the control that every distillation has to beat.

L = hard
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tune_distill.methods.base import Batchwise, Method
from tune_distill.methods.losses import hard
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class FineTune(Method):
    """Labels only."""

    name: ClassVar[str] = "finetune"
    needs_teacher: ClassVar[bool] = False

    def loss(
        self,
        student: Signals,
        teacher: Signals | None,
        batch: Batchwise,
        heads: nn.Module | None,
    ) -> dict[str, Tensor]:
        """The error against the labels."""
        term = self.answered(student, teacher, batch)
        return {"hard": term, "total": term}

    def answered(self, student: Signals, teacher: Signals | None, batch: Batchwise) -> Tensor:
        """All of the loss."""
        return hard(student.scores(), batch.labels)
