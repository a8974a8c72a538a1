"""Every typing error inside a word, after Pruthi, Dhingra and Lipton 2019 (arXiv 1905.11268).

Swaps of two neighbours, deletions, insertions, and slips to a neighbouring key of a QWERTY
keyboard, at every site between the first and the last letter, which stay as they are.

Where we differ. The paper inserts every letter at every site; as TextAttack does, we insert one
letter a site, drawn by hash: 26 times fewer queries. Swaps are of unlike neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator

from tune_distill.robustness.draws import cased, letter

LETTERS = 26
DRAWS = 13  # 26^13 is the largest power below 2^64: sites beyond the 13th repeat the letters

# Keys that touch, row by row: qwertyuiop, asdfghjkl, zxcvbnm.
KEYS = {
    **{"q": "wa", "w": "qeas", "e": "wrsd", "r": "etdf", "t": "ryfg", "y": "tugh", "u": "yihj"},
    **{"i": "uojk", "o": "ipkl", "p": "ol", "a": "qwsz", "s": "weadzx", "d": "ersfxc"},
    **{"f": "rtdgcv", "g": "tyfhvb", "h": "yugjbn", "j": "uihknm", "k": "iojlm", "l": "opk"},
    **{"z": "asx", "x": "sdzc", "c": "dfxv", "v": "fgcb", "b": "ghvn", "n": "hjbm", "m": "jkn"},
}


def swaps(word: str, _draw: int) -> Iterator[str]:
    """Each two unlike neighbours change places."""
    for at in range(1, len(word) - 2):
        if word[at].casefold() != word[at + 1].casefold():
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def deletions(word: str, _draw: int) -> Iterator[str]:
    """Each letter goes."""
    for at in range(1, len(word) - 1):
        yield word[:at] + word[at + 1 :]


def insertions(word: str, draw: int) -> Iterator[str]:
    """A letter comes in at each site."""
    for at in range(1, len(word)):
        drawn = draw // LETTERS ** (at % DRAWS)
        yield word[:at] + letter(drawn, like=word[at - 1]) + word[at:]


def slips(word: str, _draw: int) -> Iterator[str]:
    """Each letter becomes each of its neighbours on the keyboard."""
    for at in range(1, len(word) - 1):
        for key in KEYS.get(word[at].lower(), ""):
            yield word[:at] + cased(key, like=word[at]) + word[at + 1 :]
