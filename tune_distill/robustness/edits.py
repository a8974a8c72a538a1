"""Edits of a word's characters, by name; here DeepWordBug's (Gao et al. 2018, arXiv 1801.04354).

Four transformations, one random site each: swap two neighbours, substitute, delete or insert
a letter. Site and letter come from blake2b(seed, word, position, edit) and from nothing else: the
same word at the same place is edited the same way in any order of rows, batch or process.

Where we differ. A swap chooses among unlike neighbours and a substitution never draws the letter
it replaces, so no query is spent on the text we have. New letters are a-z in the case of the
letter they replace or follow (TextAttack draws from both cases). An insertion may also come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from tune_distill.robustness import bugs, typos
from tune_distill.robustness.draws import hashed, letter

Edit = Callable[[str, int], Iterable[str]]  # (word, draw) -> what it may become


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
    return word[:site] + letter(rest, like=word[site], but=word[site]) + word[site + 1 :]


def delete(word: str, draw: int) -> str | None:
    """One letter goes; None for a word of one letter, which would vanish."""
    site = draw % len(word)
    return word[:site] + word[site + 1 :] if len(word) > 1 else None


def insert(word: str, draw: int) -> str | None:
    """One letter comes in, at the front, inside or at the end."""
    rest, site = divmod(draw, len(word) + 1)
    return word[:site] + letter(rest, like=word[max(site - 1, 0)]) + word[site:]


def _one(edit: Callable[[str, int], str | None]) -> Edit:
    def made(word: str, draw: int) -> tuple[str, ...]:
        new = edit(word, draw)
        return () if new is None else (new,)

    return made


EDITS: dict[str, Edit] = {
    "swap": _one(swap),
    "substitute": _one(substitute),
    "delete": _one(delete),
    "insert": _one(insert),
    "swaps": typos.swaps,
    "deletions": typos.deletions,
    "insertions": typos.insertions,
    "slips": typos.slips,
    "space": bugs.space,
    "cut": bugs.cut,
    "inner": bugs.inner,
    "similar": bugs.similar,
}


def candidates(word: str, position: int, edits: Sequence[str], seed: int) -> list[str]:
    """What each edit makes of a word, in the order of the edits; each once, never the word itself.

    Args:
        word: letters only, at least one.
        position: which word of its text it is, counted from 0.
        edits: names in EDITS.
        seed: the attack's.
    """
    made = (new for edit in edits for new in EDITS[edit](word, hashed(seed, word, position, edit)))
    return [new for new in dict.fromkeys(made) if new != word]
