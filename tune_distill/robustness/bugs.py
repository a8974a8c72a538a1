"""TextBugger's four bugs on characters (Li, Ji, Du, Li and Wang 2019, arXiv 1812.05271).

    space     a space inside a word of at most 5 letters, which becomes two
    cut       one letter goes, neither the first nor the last
    inner     two neighbours change places, neither the first nor the last; words of 5 letters on
    similar   one letter becomes a character that looks like it: o 0, l 1, a @

One site each, drawn by hash. The fifth bug, a neighbour in a table, is an edit of whole words.

Where we differ. The paper gives examples of similar characters and of neighbouring keys (m n), no
list; ours holds its examples and the usual ones. An inner swap is of unlike neighbours. A word that
a space splits is one changed word still, and no later word is taken for another (TextAttack 0.3.11
counts two, and its greedy search then edits the words beside those it ranked).
"""

from __future__ import annotations

from collections.abc import Iterator

LONGEST_SPLIT = 5  # letters: "shorter than 6"
SHORTEST_SWAP = 5  # letters: "longer than 4"

SIMILAR = {
    **{"a": "@", "b": "8", "c": "(", "e": "3", "g": "9", "i": "1", "l": "1", "o": "0", "q": "9"},
    **{"s": "5", "t": "7", "z": "2", "m": "n", "n": "m", "u": "v", "v": "u"},
}


def space(word: str, draw: int) -> Iterator[str]:
    """A space comes in."""
    if 2 <= len(word) <= LONGEST_SPLIT:
        site = 1 + draw % (len(word) - 1)
        yield f"{word[:site]} {word[site:]}"


def cut(word: str, draw: int) -> Iterator[str]:
    """A letter inside goes."""
    if len(word) > 2:
        site = 1 + draw % (len(word) - 2)
        yield word[:site] + word[site + 1 :]


def inner(word: str, draw: int) -> Iterator[str]:
    """Two neighbours inside change places."""
    sites = [
        at
        for at in range(1, len(word) - 2)
        if len(word) >= SHORTEST_SWAP and word[at].casefold() != word[at + 1].casefold()
    ]
    if sites:
        site = sites[draw % len(sites)]
        yield word[:site] + word[site + 1] + word[site] + word[site + 2 :]


def similar(word: str, draw: int) -> Iterator[str]:
    """A letter becomes a character that looks like it."""
    sites = [at for at, one in enumerate(word) if one.lower() in SIMILAR]
    if sites:
        site = sites[draw % len(sites)]
        yield word[:site] + SIMILAR[word[site].lower()] + word[site + 1 :]
