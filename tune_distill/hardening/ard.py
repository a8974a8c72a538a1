"""ARD: Goldblum, Fowl, Feizi, Goldstein, "Adversarially Robust Distillation", 2020.

L = (1 - alpha) * CE(S(x), y) + alpha * T^2 * KL(p_T(x) || p_S(x + d))
d maximises CE(S(x + d), y)

arXiv 1905.09747, algorithm 1, on word embeddings and in the norm of a row instead of pixels and
the maximum norm; T is the method's temperature. d starts at 0, not at noise. Rows without a label
are not perturbed: nothing to maximise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tune_distill.hardening.adversarial import AdversarialDistillation, Losses
from tune_distill.hardening.base import Update
from tune_distill.methods.losses import hard, soft
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ARD(AdversarialDistillation):
    """Against the labels inside, to the teacher outside."""

    name: ClassVar[str] = "ard"

    def losses(self, update: Update) -> Losses:
        """The labels, the labels, the teacher."""
        labels, given = update.batch.labels, taught(update)

        def right(own: Signals) -> Tensor:
            return hard(own.scores(), labels)

        def same(own: Signals) -> Tensor:
            return soft(own.scores(), given, update.temperature, labels)

        return Losses(right, right, same)


def taught(update: Update) -> Tensor:
    """The teacher's logits on the clean rows."""
    if update.seen is None:
        raise ValueError("adversarial distillation needs the teacher's signals")
    return update.seen.scores()
