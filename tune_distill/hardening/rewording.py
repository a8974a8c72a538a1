"""Other words for the same label: perturbed texts, fresh for each update.

L = (1 - weight) * L(x) + weight * A(x')

A is what of the method's loss reads logits alone, against the labels and the teacher's answers on
the clean row: x' has other tokens, so what is compared token by token stays with x. At weight 1
x' takes the place of x: 1 pass, otherwise 2. A phase without answers (TinyBERT's first) is plain.
What an edit draws hangs on (seed, epoch, row, word) and on nothing else (`train/texts.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Gt, Le

from tune_distill.hardening.ball import recorded
from tune_distill.hardening.base import Hardening, Update
from tune_distill.methods import Method, TaskShape
from tune_distill.methods.answers import Answers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Rewording(Hardening):
    """Base of the two."""

    source: ClassVar[Literal["char", "table"]]  # of what becomes of a word

    rate: Annotated[float, Gt(0), Le(1)] = 0.15  # of the words that can be changed
    weight: Annotated[float, Gt(0), Le(1)] = 0.5  # of the perturbed rows

    def check(self, method: Method, task: TaskShape) -> list[str]:
        """Refuses to drop the half of a method."""
        own = (type(phase.method) for phase in method.phases() if phase.method.answering)
        inside = any(one.inside is not Answers.inside for one in own if issubclass(one, Answers))
        if self.weight < 1 or not inside:
            return []
        return [
            f"{self.name} at weight 1 trains on perturbed texts alone, and {method.name} compares "
            "what teacher and student make of the same tokens; a weight below 1 works"
        ]

    @property
    def passes(self) -> float:
        """A clean one and a perturbed one; or the latter alone."""
        return 1.0 if self.weight == 1 else 2.0

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The clean loss, then the answers on the perturbed texts."""
        terms: dict[str, Tensor] = {}
        share = 1 - self.weight if update.answering else 1.0
        if share:
            terms = update.loss(update.forward())
            update.learn(share * terms["total"])
        if update.answering:
            terms["robust"] = update.answers(update.reworded(self))
            update.learn(self.weight * terms["robust"])
            clean = share * terms["total"] if share else 0
            terms["total"] = clean + self.weight * terms["robust"]
        return recorded(terms)
