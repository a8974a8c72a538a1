"""FGM: Miyato et al., "Adversarial Training Methods for Semi-Supervised Text Classification", 2017.

L = L(x) + weight * L(x + d),   d = epsilon * g / |g|,   g the gradient of L by the word embeddings

arXiv 1605.07725, equation 5; L is the method's whole loss. The paper normalises the embeddings so
that they can't grow out of d's reach: here epsilon is a share of their mean length, to the same
end. g is a by-product of the clean pass: 2 passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt

from tune_distill.hardening.ball import direction, recorded, risen
from tune_distill.hardening.base import Pushing, Update
from tune_distill.hardening.pgd import beside, learned

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FGM(Pushing):
    """One step up the loss, as far as allowed."""

    name: ClassVar[str] = "fgm"

    weight: Annotated[float, Gt(0)] = 1.0  # of the perturbed loss

    @property
    def passes(self) -> float:
        """A clean one and a perturbed one."""
        return 2.0

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The clean loss, then the perturbed one."""
        start = update.still().requires_grad_()
        terms = recorded(learned(update, start))
        delta = self.epsilon * update.unit * direction(risen(start))
        return beside(update, terms, delta, self.weight)
