"""FreeLB: Zhu et al., "Enhanced Adversarial Training for Natural Language Understanding", 2020.

L = 1/K * sum over k < K of L(x + d[k])
d[0]    uniform noise of +- init / sqrt(tokens * width)
d[k+1]  project(d[k] + step * g / |g|, epsilon),   g the gradient of L(x + d[k])

arXiv 1909.11764, algorithm 1, with the same dropout masks in all K passes, as in the paper. L is
the method's whole loss. Each backward gives the weights' gradients and g at once: K passes in all,
none of them clean. With K = 1 and no noise it is plain training. Published for SST-2: K 2, step
0.1, init 0.6 to 1, epsilon 0.6 or none, all absolute; here they are shares of the mean length of
the word embeddings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt

from tune_distill.hardening.ball import direction, project, recorded, risen
from tune_distill.hardening.base import Pushing, Update
from tune_distill.hardening.pgd import learned

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FreeLB(Pushing):
    """The mean loss on the way up."""

    name: ClassVar[str] = "freelb"

    step_size: Annotated[float, Gt(0)] = 0.1  # over the mean length of word embeddings
    init: Annotated[float, Ge(0)] = 0.2  # likewise: of the noise at the start
    steps: Annotated[int, Ge(1)] = 2  # K

    @property
    def passes(self) -> float:
        """One a step."""
        return float(self.steps)

    def learn(self, update: Update) -> dict[str, Tensor]:
        """All steps; the terms are their means."""
        delta = self._start(update)
        means: dict[str, Tensor] = {}
        for _ in range(self.steps):
            delta = delta.detach().requires_grad_()
            terms = recorded(learned(update, delta, 1 / self.steps))
            means = {name: means.get(name, 0) + term / self.steps for name, term in terms.items()}
            up = self.step_size * update.unit * direction(risen(delta))
            delta = project(delta.detach() + up, self.epsilon * update.unit)
        return means

    def _start(self, update: Update) -> Tensor:
        still = update.still()
        if not self.init:
            return still
        sizes = update.real.sum(dim=1, keepdim=True) * still.shape[-1]
        noise = (2 * still.clone().uniform_() - 1) * update.real * (self.init / sizes.sqrt())
        return project(noise * update.unit, self.epsilon * update.unit)
