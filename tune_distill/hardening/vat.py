"""VAT: smoothness without labels, after Miyato et al. 2018 and SMART (Jiang et al. 2020).

L = L(x) + weight * (KL(p || p_d) + KL(p_d || p)),   p the student's answers on x, p_d on x + d
d = epsilon * g / |g|,   g the gradient of KL(p || p_n) at n = noise * r / |r|,   r normal

arXiv 1704.03976 (the direction: K rounds of power iteration) and 1911.03437 (the symmetric loss).
No label is read, so rows without one are smoothed, too. SMART takes d in the maximum norm and adds
proximal steps between updates; here d is in the norm of a row, and there are none. A regression's
divergence is the squared difference, several labels' the sum of binary KLs. 2 passes and K steps
of two thirds. A phase without answers (TinyBERT's first) is plain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt

from tune_distill.hardening.ball import CLIMB, direction, recorded, slope
from tune_distill.hardening.base import Pushing, Update
from tune_distill.methods.losses import soft
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class VAT(Pushing):
    """The same answers nearby."""

    name: ClassVar[str] = "vat"

    weight: Annotated[float, Gt(0)] = 1.0  # of the smoothness
    noise: Annotated[float, Gt(0)] = 0.05  # where the gradient is taken, likewise
    steps: Annotated[int, Ge(1)] = 1  # K

    @property
    def passes(self) -> float:
        """A clean one, a step's each, and a perturbed one."""
        return 2 + CLIMB * self.steps

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The clean loss and the smoothness, in one backward."""
        way = direction(update.still().normal_() * update.real)
        own = update.forward()
        terms = update.loss(own)
        if update.answering:
            terms["robust"] = self._smoothness(update, own, way)
            terms["total"] = terms["total"] + self.weight * terms["robust"]
        update.learn(terms["total"])
        return recorded(terms)

    def _smoothness(self, update: Update, own: Signals, way: Tensor) -> Tensor:
        logits, labels = own.scores(), update.batch.labels

        def divergence(near: Signals) -> Tensor:
            return soft(near.scores(), logits.detach(), 1, labels)

        for _ in range(self.steps):
            way = direction(slope(update, divergence, self.noise * update.unit * way))
        near = update.forward(self.epsilon * update.unit * way)
        return smoothness(logits, near.scores(), labels)


def smoothness(clean: Tensor, near: Tensor, labels: Tensor) -> Tensor:
    """The symmetric divergence of two answers; each is drawn to the other as it stands."""
    return soft(near, clean.detach(), 1, labels) + soft(clean, near.detach(), 1, labels)
