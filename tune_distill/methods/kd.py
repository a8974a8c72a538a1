"""Logit distillation: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015.

L = (1 - alpha) * hard + alpha * soft(T),    soft = T^2 * KL(p_T || p_S) at temperature T

arXiv 1503.02531, section 2. `alpha` weights the soft loss, as in PKD; PKD's own repository and
many others divide the KL by the number of classes, so their alpha is not ours (docs/PAPERS.md).
`match: mse` compares the logits themselves (Ba and Caruana 2014, arXiv 1312.6184): soft is then
their mean squared difference, and there is no temperature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from tune_distill.methods.answers import Answers
from tune_distill.methods.base import Batchwise
from tune_distill.methods.losses import hard, logit_mse
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class KD(Answers):
    """The teacher's softened probabilities beside the labels."""

    name: ClassVar[str] = "kd"

    match: Literal["kl", "mse"] = "kl"  # what of the teacher's logits

    def answers(self, student: Signals, teacher: Signals, batch: Batchwise) -> dict[str, Tensor]:
        """The terms on the logits."""
        if self.match == "kl":
            return super().answers(student, teacher, batch)
        return {
            "hard": hard(student.scores(), batch.labels),
            "soft": logit_mse(student.scores(), teacher.scores()),
        }
