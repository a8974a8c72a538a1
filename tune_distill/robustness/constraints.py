"""What an attack may not do: which words it may edit, how many of them, and how far each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.stop_words import STOP_WORDS


def editable(words: Sequence[str], recipe: Attack) -> list[int]:
    """The places of the words that may be edited."""
    return [
        place
        for place, word in enumerate(words)
        if len(word) >= recipe.min_word_length
        and (recipe.stop_words or word.lower() not in STOP_WORDS)
    ]


def changes_allowed(words: int, recipe: Attack) -> int:
    """How many of a text's words may be changed; rounded up, so that a short text has one."""
    # 0.7 x 10 is 7.000000000000001 in binary, and 7 here.
    allowed = math.ceil(round(recipe.max_fraction * words, 9))
    return allowed if recipe.max_words is None else min(allowed, recipe.max_words)


def distance(a: str, b: str) -> int:
    """Levenshtein's: the letters to insert, delete or substitute that make one of the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (x != y)))
    return row[-1]


def cased(word: str, like: str) -> str:
    """A word in the case of another: CAPITALS, Title, or as it is."""
    if len(like) > 1 and like.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word
