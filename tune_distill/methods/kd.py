"""Logit distillation: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015.

L = (1 - alpha) * hard + alpha * soft(T),    soft = T^2 * KL(p_T || p_S) at temperature T

arXiv 1503.02531, section 2. `alpha` weights the soft loss, as in PKD; PKD's own repository and
many others divide the KL by the number of classes, so their alpha is not ours (docs/PAPERS.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from tune_distill.methods.base import Batchwise, Method, ModelShape, TaskShape
from tune_distill.methods.losses import hard, soft
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class KD(Method):
    """The teacher's softened probabilities beside the labels."""

    name: ClassVar[str] = "kd"

    temperature: Annotated[float, Gt(0)] = 4.0  # T
    alpha: Annotated[float, Ge(0), Le(1)] = 0.5  # weight of the soft loss

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses regression, where the softmax of a single logit is constant and the KL zero."""
        if task.regression:
            return ["kd compares distributions over classes; a regression has one logit"]
        return []

    def loss(
        self,
        student: Signals,
        teacher: Signals | None,
        batch: Batchwise,
        heads: nn.Module | None,
    ) -> dict[str, Tensor]:
        """The two terms, and L."""
        if teacher is None:
            raise ValueError("kd needs the teacher's signals")
        terms = {
            "hard": hard(student.scores(), batch.labels),
            "soft": soft(student.scores(), teacher.scores(), self.temperature),
        }
        terms["total"] = (1 - self.alpha) * terms["hard"] + self.alpha * terms["soft"]
        return terms
