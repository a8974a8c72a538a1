"""One row under attack: which words it tries, which candidates, what it keeps, when it is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.edits import candidates, hashed
from tune_distill.robustness.words import Words

# In logits. The last bits of a float32 logit depend on the rows that share its forward pass:
# what differs by less is equal, so that a batch's size decides nothing and a flip stays one.
TIE = 1e-4


class RowOutcome(IntEnum):
    """What became of a row."""

    WRONG = 0  # already on the clean text: not attacked
    ROBUST = 1  # right on the clean text, and still
    FLIPPED = 2  # right on the clean text, wrong on the text found


@dataclass
class Attempt:
    """One row on its way."""

    row: int
    source: Words
    words: list[str]  # as they are now
    order: list[int]  # words still to be tried, the next one last
    changes_left: int
    margin: float
    outcome: RowOutcome
    queries: int = 1  # the clean text
    trying: int = -1  # the word that the proposals are for
    proposals: Sequence[str] = ()

    def propose(self, recipe: Attack) -> bool:
        """Take the next word that has candidates; False where the row is done."""
        left = recipe.budget - self.queries
        self.proposals = ()
        if self.outcome is not RowOutcome.ROBUST or left <= 0 or not self.changes_left:
            return False
        while not self.proposals and self.order:
            self.trying = self.order.pop()
            word = self.source.words[self.trying]
            self.proposals = candidates(word, self.trying, recipe.edits, recipe.seed)[:left]
        return bool(self.proposals)

    def texts(self) -> list[str]:
        """The text with each of the proposals in its place."""
        kept = self.words[self.trying]
        made = []
        for proposal in self.proposals:
            self.words[self.trying] = proposal
            made.append(self.source.text(self.words))
        self.words[self.trying] = kept
        return made

    def judge(self, scored: NDArray[np.float32]) -> None:
        """Keep the best proposal if it is better than the text as it is; the first among equals."""
        self.queries += len(scored)
        best = int(np.flatnonzero(scored <= scored.min() + TIE)[0])
        if scored[best] >= self.margin - TIE:
            return
        self.words[self.trying] = self.proposals[best]
        self.margin = float(scored[best])
        self.changes_left -= 1
        if self.margin < -TIE:
            self.outcome = RowOutcome.FLIPPED


def word_order(source: Words, weights: NDArray[np.float32], recipe: Attack) -> list[int]:
    """The words that may be edited, the most promising one last."""
    reached = np.flatnonzero(np.isfinite(weights)).tolist()
    editable = [w for w in reached if len(source.words[w]) >= recipe.min_word_length]
    if recipe.order == "random":
        return sorted(editable, key=lambda w: hashed(recipe.seed, source.words[w], w, "order"))
    # To four digits of the largest: words that weigh the same keep the order of the text.
    largest = max((float(weights[w]) for w in editable), default=0.0) or 1.0
    return sorted(editable, key=lambda w: (round(float(weights[w]) / largest, 4), -w))


def changes_allowed(words: int, recipe: Attack) -> int:
    """How many of a text's words may be changed; rounded up, so that a short text has one."""
    # 0.7 x 10 is 7.000000000000001 in binary, and 7 here.
    allowed = math.ceil(round(recipe.max_fraction * words, 9))
    return allowed if recipe.max_words is None else min(allowed, recipe.max_words)
