"""Texts that an attack found, beside an update's own rows.

L = (B * L(x) + k * A(x')) / (B + k),   B rows of the batch, k adversarial ones

as if these had been drawn with the batch. A is what of the method's loss reads logits alone,
against the labels and the teacher's answers on the clean text: its answers on x' may be the very
mistake that x' was found for, and what is compared token by token stays with x. A phase without
answers (TinyBERT's first) is plain. `augment` and `attack` say where x' is from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le

from tune_distill.hardening.ball import recorded
from tune_distill.hardening.base import Hardening, Update
from tune_distill.methods import Method, TaskShape

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Adversaries(Hardening):
    """Base of the two."""

    # The keys of robustness.ATTACKS, which lies above this layer; a test holds them equal.
    recipe: Literal["char", "pruthi", "table", "wordnet", "bae", "textbugger"] = "char"
    queries: Annotated[int, Ge(1)] = 30  # a row, by which an attack has to succeed
    ratio: Annotated[float, Gt(0), Le(1)] = 0.2  # adversarial rows over an update's own

    def check(self, method: Method, task: TaskShape) -> list[str]:
        """Refuses what has no class to flip."""
        if task.kind == "single_label":
            return []
        what = "several labels a row" if task.kind == "multi_label" else "a number a row"
        return [
            f"{self.name} looks for texts that are taken for another class, and the task has "
            f"{what}; random_char, fgm, freelb and vat work"
        ]

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The clean loss, then the answers on the adversarial texts."""
        other = update.adversaries() if update.answering else None
        terms = update.loss(update.forward())
        if other is None:
            update.learn(terms["total"])
            return recorded(terms)
        own, more = len(update.batch.labels), len(other.batch.labels)
        weight = more / (own + more)
        update.learn((1 - weight) * terms["total"])
        terms["robust"] = other.answers(other.forward())
        update.learn(weight * terms["robust"])
        terms["total"] = (1 - weight) * terms["total"] + weight * terms["robust"]
        return recorded(terms)
