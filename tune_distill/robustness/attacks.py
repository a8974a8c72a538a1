"""What an attack is, to the last constraint, and the attacks that we ship by name.

The constraint set moves robust accuracy by tens of points, the search by a few: a name without its
constraints and its budget is not a measurement. So an attack is one frozen value, `digest` is a
hash of all of it, and both are shown beside every number.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b

from tune_distill.errors import SpecError
from tune_distill.robustness.edits import EDITS

ORDERS = ("gradient", "random")


@dataclass(frozen=True)
class Attack:
    """A greedy attack: words in `order`, each changed once at most, by the best of its `edits`.

    A query is one scored text of one row. The clean text is the first one; the gradient that
    orders the words comes from the same forward pass and adds none. Each distinct candidate counts,
    also where two sentences share a forward pass. Of a word whose candidates exceed what is left
    of the budget, only the first are scored.
    """

    name: str
    edits: tuple[str, ...]  # names in edits.EDITS, in the order in which ties are broken
    order: str = "gradient"  # which word first: one of ORDERS
    budget: int = 30  # queries a row, the clean text included
    max_fraction: float = 1.0  # of a text's words that may be changed, rounded up
    max_words: int | None = None  # that may be changed, whatever the length of the text
    min_word_length: int = 3  # letters
    side: int = -1  # the column that is edited; -1 is the last: the hypothesis of a pair
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [edit for edit in self.edits if edit not in EDITS]
        problems = [
            problem
            for bad, problem in (
                (unknown, f"unknown edits {unknown}; there are {', '.join(EDITS)}"),
                (not self.edits, "edits: at least one is needed"),
                (self.order not in ORDERS, f"order: {self.order!r} is none of {', '.join(ORDERS)}"),
                (self.budget < 1, f"budget: at least 1 query, got {self.budget}"),
                (
                    not 0.0 < self.max_fraction <= 1.0,
                    f"max_fraction: above 0 and at most 1, got {self.max_fraction}",
                ),
                (
                    self.max_words is not None and self.max_words < 1,
                    f"max_words: at least 1, got {self.max_words}",
                ),
                (
                    self.min_word_length < 2,
                    f"min_word_length: at least 2, got {self.min_word_length}",
                ),
                (self.side not in (-1, 0, 1), f"side: -1, 0 or 1, got {self.side}"),
            )
            if bad
        ]
        if problems:
            raise SpecError([f"attack {self.name!r}: {problem}" for problem in problems])

    def canonical(self) -> str:
        """The whole identity as JSON with sorted keys and no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Twelve hex digits that change with any field."""
        return blake2b(self.canonical().encode(), digest_size=6).hexdigest()


# DeepWordBug's edits (Gao et al. 2018), at the fidelity of a search: gradient order, 30 queries.
# Deviations from the paper and from TextAttack's recipe of it:
# - order: ours is white-box, by gradient; theirs spends queries on scoring each word;
# - the score is the gold logit's margin, not its probability: the same order for two classes;
# - words of 1 and 2 letters are left alone; stop words are not (TextAttack spares them);
# - the paper's Levenshtein limit of 30 is implied: an edit is worth 2 at most, and 30 queries
#   reach 8 words.
ATTACKS: dict[str, Attack] = {
    "char": Attack("char", ("swap", "substitute", "delete", "insert"), max_fraction=0.3),
}
