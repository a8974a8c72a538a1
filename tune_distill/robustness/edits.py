"""Character edits of a word, after DeepWordBug (Gao et al. 2018, arXiv 1801.04354).

Its four transformations, one random site each: swap two neighbours, substitute, delete or insert
a letter. Site and letter come from blake2b(seed, word, position, edit) and from nothing else: the
same word at the same place is edited the same way in any order of rows, batch or process.

Where we differ. A swap chooses among unlike neighbours and a substitution never draws the letter
it replaces, so no query is spent on the text we have. New letters are a-z in the case of the
letter they replace or follow (TextAttack draws from both cases). An insertion may also come last.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import pairwise


def swap(word: str, draw: int) -> str | None:
    """Two neighbouring letters change places; None where all neighbours are alike."""
    sites = [at for at, (a, b) in enumerate(pairwise(word)) if a.casefold() != b.casefold()]
    if not sites:
        return None
    site = sites[draw % len(sites)]
    return word[:site] + word[site + 1] + word[site] + word[site + 2 :]


def substitute(word: str, draw: int) -> str | None:
    """One letter becomes another."""
    rest, site = divmod(draw, len(word))
    letter = _letter(rest, like=word[site], but=word[site])
    return word[:site] + letter + word[site + 1 :]


def delete(word: str, draw: int) -> str | None:
    """One letter goes; None for a word of one letter, which would vanish."""
    site = draw % len(word)
    return word[:site] + word[site + 1 :] if len(word) > 1 else None


def insert(word: str, draw: int) -> str | None:
    """One letter comes in, at the front, inside or at the end."""
    rest, site = divmod(draw, len(word) + 1)
    return word[:site] + _letter(rest, like=word[max(site - 1, 0)]) + word[site:]


EDITS: dict[str, Callable[[str, int], str | None]] = {
    "swap": swap,
    "substitute": substitute,
    "delete": delete,
    "insert": insert,
}


def candidates(word: str, position: int, edits: Sequence[str], seed: int) -> list[str]:
    """What each edit makes of a word, in the order of the edits; each once, never the word itself.

    Args:
        word: letters only, at least one.
        position: which word of its text it is, counted from 0.
        edits: names in EDITS.
        seed: the attack's.
    """
    made = (EDITS[edit](word, hashed(seed, word, position, edit)) for edit in edits)
    return [new for new in dict.fromkeys(made) if new is not None and new != word]


def hashed(seed: int, word: str, position: int, use: str) -> int:
    """A number below 2^64 that depends on these four and on nothing else."""
    key = f"{seed}\0{word}\0{position}\0{use}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big")


def _letter(draw: int, like: str, but: str = "") -> str:
    letters = [letter for letter in string.ascii_lowercase if letter != but.casefold()]
    letter = letters[draw % len(letters)]
    return letter.upper() if like.isupper() else letter
