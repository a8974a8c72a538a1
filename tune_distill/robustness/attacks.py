"""What an attack is, to the last constraint: a search, edits, constraints, a budget, a seed.

The constraint set moves robust accuracy by tens of points, the search by a few: a name without its
constraints and its budget is not a measurement. So an attack is one frozen value, `digest` is a
hash of all of it, and `shown`, which stands beside every number, ends in the first digits of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from typing import Literal

from tune_distill.errors import SpecError
from tune_distill.robustness.edits import EDITS

Profile = Literal["lax", "strict"]

# Which word first. gradient: one backward pass, no query. unk, delete: a query a word, without it.
# saliency (PWWS): unk and every candidate. random: a hash. `saliency.py` has the formulas.
ORDERS = ("gradient", "unk", "delete", "random", "saliency")
# greedy: each word in turn keeps its best edit. full: the best edit of any word stays, then again.
SEARCHES = ("greedy", "full")
RESOURCES = ("table", "wordnet", "masked_lm")  # edits of whole words, named after what they read
STRICT = {"max_words": 2, "neighbours": 3, "min_word_length": 4}  # of the profile, where stricter
STRICT_COSINE = 0.7


@dataclass(frozen=True)
class Attack:
    """An attack that makes a classifier take a text for any other class.

    A query is one scored text of one row. The clean text is the first one; the gradient that
    orders the words comes from the same forward pass and adds none. Each distinct text counts once,
    also where two sentences share a forward pass. Of a word whose candidates exceed what is left
    of the budget, only the first are scored. No word is changed twice.
    """

    name: str
    edits: tuple[str, ...]  # of edits.EDITS or RESOURCES, in the order in which ties are broken
    search: str = "greedy"  # one of SEARCHES
    order: str = "gradient"  # one of ORDERS
    budget: int | None = 30  # queries a row, the clean text included; None: as many as it takes
    max_fraction: float = 1.0  # of a text's words that may be changed, rounded up
    max_words: int | None = None  # that may be changed, whatever the length of the text
    max_distance: int | None = None  # Levenshtein, of all changed words together
    min_word_length: int = 3  # letters
    stop_words: bool = True  # whether words such as "the" and "not" may be changed
    neighbours: int | None = None  # of a word in a table or a masked LM's list; the nearest
    min_cosine: float | None = None  # of a neighbour, where its table has cosines
    joined: bool = False  # whether "well-made" and "don't" are one word: words.py
    side: int = -1  # the column that is edited; -1 is the last: the hypothesis of a pair
    profile: str = "lax"
    resource: str = ""  # digest of the resources that the edits read
    seed: int = 0

    def __post_init__(self) -> None:
        if problems := [f"attack {self.name!r}: {problem}" for problem in self._problems()]:
            raise SpecError(problems)

    def canonical(self) -> str:
        """The whole identity as JSON with sorted keys and no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Twelve hex digits that change with any field."""
        return blake2b(self.canonical().encode(), digest_size=6).hexdigest()

    @property
    def shown(self) -> str:
        """The name beside a number: `table-strict/30 #a1b2`."""
        budget = "all" if self.budget is None else self.budget
        return f"{self.name}-{self.profile}/{budget} #{self.digest[:4]}"

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that its edits read."""
        return tuple(edit for edit in self.edits if edit in RESOURCES)

    def ordered(self, order: str | None) -> Attack:
        """The same attack with its words in another order; None: in its own."""
        return self if order is None else replace(self, order=order)

    def within(self, budget: int | None) -> Attack:
        """The same attack with another budget."""
        return replace(self, budget=budget)

    def under(self, profile: Profile) -> Attack:
        """The same attack in a profile: `lax` as the recipe is, `strict` with tighter constraints.

        strict: at most 2 words of 4 letters or more, no stop words, the 3 nearest neighbours and
        none below a cosine of 0.7. What most attacks find at their own constraints changes a
        text's meaning (Morris et al. 2020, arXiv 2004.14174); less of this does.
        """
        if profile == "lax" or self.profile == profile:
            return self
        words, neighbours = STRICT["max_words"], STRICT["neighbours"]
        return replace(
            self,
            profile=profile,
            max_words=min(self.max_words or words, words),
            neighbours=min(self.neighbours or neighbours, neighbours),
            min_cosine=max(self.min_cosine or 0.0, STRICT_COSINE),
            min_word_length=max(self.min_word_length, STRICT["min_word_length"]),
            stop_words=False,
        )

    def _problems(self) -> list[str]:
        unknown = [edit for edit in self.edits if edit not in (*EDITS, *RESOURCES)]
        known = ", ".join((*EDITS, *RESOURCES))
        least = {
            "budget": (self.budget, 1),
            "max_words": (self.max_words, 1),
            "max_distance": (self.max_distance, 1),
            "min_word_length": (self.min_word_length, 2),
            "neighbours": (self.neighbours, 1),
        }
        checks = (
            (unknown, f"unknown edits {unknown}; there are {known}"),
            (not self.edits, "edits: at least one is needed"),
            (self.search not in SEARCHES, f"search: {self.search!r} is none of {SEARCHES}"),
            (self.order not in ORDERS, f"order: {self.order!r} is none of {', '.join(ORDERS)}"),
            (
                not 0.0 < self.max_fraction <= 1.0,
                f"max_fraction: above 0 and at most 1, got {self.max_fraction}",
            ),
            *(
                (value is not None and value < low, f"{name}: at least {low}, got {value}")
                for name, (value, low) in least.items()
            ),
            (
                self.min_cosine is not None and not -1.0 <= self.min_cosine <= 1.0,
                f"min_cosine: from -1 to 1, got {self.min_cosine}",
            ),
            (self.side not in (-1, 0, 1), f"side: -1, 0 or 1, got {self.side}"),
        )
        return [problem for bad, problem in checks if bad]
