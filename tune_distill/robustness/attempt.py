"""One row under attack: which words it tries, which candidates, what it keeps, when it is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.constraints import changes_allowed, distance
from tune_distill.robustness.words import Words

# In logits. The last bits of a float32 logit depend on the rows that share its forward pass:
# what differs by less is equal, so that a batch's size decides nothing and a flip stays one.
TIE = 1e-4


class RowOutcome(IntEnum):
    """What became of a row."""

    WRONG = 0  # already on the clean text: not attacked
    ROBUST = 1  # right on the clean text, and still
    FLIPPED = 2  # right on the clean text, wrong on the text found


@dataclass(frozen=True)
class Change:
    """One word's best candidate."""

    place: int
    word: str
    margin: float


@dataclass
class Attempt:
    """One row on its way.

    A round tries the words of `order`, the last one first. In a greedy search the best candidate of
    each word is kept as soon as it lowers the margin, and one round is all. In a full search, and
    while the words are surveyed for their order, it is only noted, unless it flips the model.
    """

    row: int
    source: Words
    margin: float  # of the text as it is now
    outcome: RowOutcome
    recipe: Attack
    options: dict[int, list[str]]  # candidates of each word that has some, by place
    seen: dict[str, float] = field(default_factory=dict)  # margins of the texts asked about
    words: list[str] = field(init=False)  # as they are now
    order: list[int] = field(default_factory=list)  # places still to be tried, the next one last
    saliencies: dict[int, float] = field(default_factory=dict)  # while surveyed: what unk costs
    noted: list[Change] = field(default_factory=list)  # of this round
    trying: int = -1
    posed: list[tuple[str, str]] = field(default_factory=list)  # candidates of it and their texts

    def __post_init__(self) -> None:
        self.words = list(self.source.words)
        self.seen.setdefault(self.source.text(self.words), self.margin)

    @property
    def queries(self) -> int:
        """Distinct texts that were scored, the clean one included."""
        return len(self.seen)

    @property
    def left(self) -> float:
        """Queries that may still be asked."""
        return math.inf if self.recipe.budget is None else self.recipe.budget - self.queries

    @property
    def changed(self) -> dict[int, str]:
        """The words that are not the source's, by place."""
        pairs = enumerate(zip(self.source.words, self.words, strict=True))
        return {place: now for place, (was, now) in pairs if was != now}

    def advance(self) -> bool:
        """Turn to the next word; False where the row is done."""
        self.posed = []
        done = self.outcome is not RowOutcome.ROBUST or self.left <= 0 or not self._changes_left()
        if done or not (self.order or self._next_round()):
            return False
        self.trying = self.order.pop()
        return True

    def pose(self, candidates: Sequence[str]) -> list[str]:
        """The texts with each candidate in its place that have to be scored, within the budget."""
        room, kept = self.left, self.words[self.trying]
        fresh: list[str] = []
        for candidate in self._near_enough(candidates):
            self.words[self.trying] = candidate
            text = self.source.text(self.words)
            if text not in self.seen:
                if len(fresh) >= room:
                    break
                fresh.append(text)
            self.posed.append((candidate, text))
        self.words[self.trying] = kept
        return fresh

    def judge(self) -> None:
        """Keep, or note, the best of what was posed if it is better; the first among equals."""
        if not self.posed:
            return
        margins = [self.seen[text] for _, text in self.posed]
        best = next(at for at, one in enumerate(margins) if one <= min(margins) + TIE)
        change = Change(self.trying, self.posed[best][0], margins[best])
        better, flips = change.margin < self.margin - TIE, change.margin < -TIE
        if self.saliencies and not flips:
            self.noted.append(change)
        elif better and (flips or self.recipe.search == "greedy"):
            self._keep(change)
        elif better:
            self.noted.append(change)

    def settle(self) -> None:
        """Keep the best of an unfinished round of a full search: the best try."""
        full = self.recipe.search == "full" and not self.saliencies
        if full and self.outcome is RowOutcome.ROBUST and self._changes_left():
            self._keep_noted()

    def _next_round(self) -> bool:
        if self.saliencies:
            self._rank_surveyed()
            return bool(self.order)
        if self.recipe.search != "full" or not self._keep_noted():
            return False
        self.order = [place for place in reversed(self.options) if place not in self.changed]
        return bool(self.order) and self._changes_left() > 0

    def _keep_noted(self) -> bool:
        """Keep the best change of the round; False where there was none."""
        noted, self.noted = self.noted, []
        if not noted:
            return False
        least = min(change.margin for change in noted) + TIE
        self._keep(next(change for change in noted if change.margin <= least))
        return True

    def _keep(self, change: Change) -> None:
        self.words[change.place], self.margin = change.word, change.margin
        if self.margin < -TIE:
            self.outcome = RowOutcome.FLIPPED

    def _rank_surveyed(self) -> None:
        """PWWS: softmax of the saliencies times each word's best gain."""
        gains = {change.place: change.margin for change in self.noted}
        largest = max(self.saliencies.values())
        weights = {
            place: math.exp(saliency - largest) * gain(self.margin, gains[place])
            for place, saliency in self.saliencies.items()
            if place in gains
        }
        self.saliencies, self.noted = {}, []
        self.order = by_weight(weights)

    def _changes_left(self) -> int:
        return changes_allowed(len(self.words), self.recipe) - len(self.changed)

    def _near_enough(self, candidates: Sequence[str]) -> list[str]:
        """Those that keep the whole text within the recipe's distance."""
        limit, own = self.recipe.max_distance, self.source.words
        if limit is None:
            return list(candidates)
        limit -= sum(distance(own[place], new) for place, new in self.changed.items())
        was = own[self.trying]
        # No two words are further apart than the longer one is long: mostly that is near enough.
        return [
            new
            for new in candidates
            if max(len(was), len(new)) <= limit or distance(was, new) <= limit
        ]


def by_weight(weights: dict[int, float]) -> list[int]:
    """The places, the heaviest last; those that weigh the same come as in the text."""
    # To four digits of the largest: below that are the last bits of a float32 logit.
    largest = max(map(abs, weights.values()), default=0.0) or 1.0
    return sorted(weights, key=lambda place: (round(weights[place] / largest, 4), -place))


def gain(before: float, after: float) -> float:
    """What a fall of the margin takes from the gold class's probability."""
    return _probability(before) - _probability(after)


def _probability(margin: float) -> float:
    """Of the gold class, against the strongest other one."""
    return 1.0 / (1.0 + math.exp(-margin)) if margin > -700 else 0.0
