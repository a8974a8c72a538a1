"""PGD: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018.

L = L(x) + weight * L(x + d),   d after K steps of  d <- project(d + step * g / |g|, epsilon)

arXiv 1706.06083, on word embeddings: L is the method's whole loss, g its gradient by d. The paper
trains on x + d alone, in the maximum norm; the clean term and the norm of a row are usual for text.
Its first gradient is the clean pass's: 2 passes and K - 1 steps of two thirds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt

from tune_distill.hardening.ball import CLIMB, climb, direction, project, recorded, risen
from tune_distill.hardening.base import Pushing, Update

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PGD(Pushing):
    """Several steps up the loss within a ball."""

    name: ClassVar[str] = "pgd"

    weight: Annotated[float, Gt(0)] = 1.0  # of the perturbed loss
    step_size: Annotated[float, Gt(0)] = 0.1  # over the mean length of word embeddings
    steps: Annotated[int, Ge(1)] = 3  # K

    @property
    def passes(self) -> float:
        """A clean one, whose gradient is the first step's; K - 1 further steps; a perturbed one."""
        return 2 + CLIMB * (self.steps - 1)

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The clean loss, then the perturbed one."""
        start = update.still().requires_grad_()
        terms = recorded(learned(update, start))
        step, radius = self.step_size * update.unit, self.epsilon * update.unit
        delta = climb(
            update,
            lambda own: update.loss(own)["total"],
            project(step * direction(risen(start)), radius),
            steps=self.steps - 1,
            step=step,
            radius=radius,
        )
        return beside(update, terms, delta, self.weight)


def learned(update: Update, delta: Tensor, share: float = 1.0) -> dict[str, Tensor]:
    """The terms at a perturbation, learned from."""
    terms = update.loss(update.forward(delta))
    update.learn(terms["total"] * share)
    return terms


def beside(
    update: Update, terms: dict[str, Tensor], delta: Tensor, weight: float
) -> dict[str, Tensor]:
    """Learns from the loss at a perturbation, beside the clean terms."""
    robust = learned(update, delta, weight)["total"].detach()
    return {**terms, "robust": robust, "total": terms["total"] + weight * robust}
