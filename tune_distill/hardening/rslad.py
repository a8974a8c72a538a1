"""RSLAD: Zi, Zhao, Ma, Jiang, "Revisiting Adversarial Robustness Distillation", 2021.

L = (1 - alpha) * KL(p_T(x) || p_S(x)) + alpha * KL(p_T(x) || p_S(x + d))
d maximises KL(p_T(x) || p_S(x + d))

arXiv 2108.07969: the teacher's soft labels in the place of all hard ones, alpha 5/6, no
temperature. On word embeddings and in the norm of a row instead of pixels and the maximum norm; d
starts at 0, not at noise. No label is read, so it learns from rows without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from tune_distill.hardening.adversarial import AdversarialDistillation, Losses
from tune_distill.hardening.ard import taught
from tune_distill.hardening.base import Update
from tune_distill.methods.losses import soft
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RSLAD(AdversarialDistillation):
    """The teacher inside and outside."""

    name: ClassVar[str] = "rslad"

    alpha: Annotated[float, Ge(0), Le(1)] = 5 / 6  # weight of the robust loss

    def losses(self, update: Update) -> Losses:
        """The teacher's clean answers, three times."""
        given = taught(update)

        def same(own: Signals) -> Tensor:
            return soft(own.scores(), given, 1, update.batch.labels)

        return Losses(same, same, same)
