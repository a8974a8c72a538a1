"""Adversarial distillation: the student is to give the teacher's clean answers nearby, too.

L = (1 - alpha) * clean + alpha * robust(x + d) + the method's terms on the inside
d after K steps of  d <- project(d + step * g / |g|, epsilon),   g the gradient of `inner` at d

`ard` and `rslad` fill in the three. They take the place of the method's own terms on the answers.
In a phase that has none (TinyBERT's first) all three are that phase's loss. 2 passes and K steps of
two thirds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

from tune_distill.hardening.ball import CLIMB, climb, recorded
from tune_distill.hardening.base import Pushing, Update
from tune_distill.methods import Method, TaskShape
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor

Loss = Callable[[Signals], "Tensor"]


class Losses(NamedTuple):
    """Of the student's signals."""

    inner: Loss  # what the perturbation maximises
    clean: Loss  # on the rows as they are
    robust: Loss  # on the perturbed ones


@dataclass(frozen=True)
class AdversarialDistillation(Pushing):
    """Base of the two."""

    alpha: Annotated[float, Ge(0), Le(1)] = 0.9  # weight of the robust loss
    step_size: Annotated[float, Gt(0)] = 0.15  # over the mean length of word embeddings
    steps: Annotated[int, Ge(1)] = 2  # K

    def check(self, method: Method, task: TaskShape) -> list[str]:
        """Refuses what has no teacher."""
        if method.needs_teacher:
            return []
        return [
            f"{self.name} holds a student to its teacher's answers, and {method.name} has no "
            "teacher; fgm, pgd, freelb and vat work without"
        ]

    @property
    def passes(self) -> float:
        """A step's each, a clean one and a perturbed one."""
        return 2 + CLIMB * self.steps

    def losses(self, update: Update) -> Losses:
        """The three, in a phase with answers."""
        raise NotImplementedError

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The clean loss, then the perturbed one."""
        if update.answering:
            inner, clean, robust = self.losses(update)
        else:
            inner = clean = robust = lambda own: update.loss(own)["total"]
        delta = climb(
            update,
            inner,
            update.still(),
            steps=self.steps,
            step=self.step_size * update.unit,
            radius=self.epsilon * update.unit,
        )
        own = update.forward()
        inside = update.inside(own)
        terms = {"clean": clean(own), **{name: term for name, (_, term) in inside.items()}}
        total = (1 - self.alpha) * terms["clean"]
        for weight, term in inside.values():
            total = total + weight * term
        update.learn(total)
        terms["robust"] = robust(update.forward(delta))
        update.learn(self.alpha * terms["robust"])
        return recorded({**terms, "total": total + self.alpha * terms["robust"]})
