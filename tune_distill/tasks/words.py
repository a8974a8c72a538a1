"""Texts as sequences of words, and two relations between them: holds, and nearly repeats.

Words are runs of letters and digits after NFKC and case folding (Chinese and Japanese characters
stand alone); punctuation and spacing do not count. A text *holds* another when the other's words
stand in it, in order, side by side. Two texts *nearly repeat* each other when the Jaccard index of
their sets of words, |A and B| / |A or B|, is at least 0.8: one word in ten changed.

Both relations are found without comparing all pairs. Holding: look up the places of a text's rarest
word, then compare a rolling hash (equal windows always agree, so none is missed). Repeating: sets
that similar share a word among their rarest ones (prefix filter: Chaudhuri et al. 2006).
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PAIRS_AT_ONCE = 2_000_000
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def words(text: str) -> list[str]:
    """Return the words of a text; one without any (a mere "?!") is a single word of its own."""
    normal = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORD.findall(normal.casefold()) or [text.strip()]


@dataclass(frozen=True, eq=False)
class Texts:
    """Distinct texts as numbered words, flat: text i is `flat[offsets[i] : offsets[i + 1]]`.

    keys: the words of each text, joined by spaces; a word's number is its rarity (0 = rarest)
    """

    keys: list[str]
    flat: Ints
    offsets: Ints

    @property
    def lengths(self) -> Ints:
        """Words in each text."""
        return np.diff(self.offsets)

    def subset(self, chosen: Ints) -> Texts:
        """Return these texts, numbered anew in the order given, with the same word numbers."""
        lengths = self.lengths[chosen]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        place = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], lengths)
        return Texts([self.keys[text] for text in chosen.tolist()], self.flat[place], offsets)

    def sets(self) -> Iterator[list[int]]:
        """Yield each text's distinct words, the rarest first."""
        flat, offsets = self.flat.tolist(), self.offsets.tolist()
        for start, end in itertools.pairwise(offsets):
            yield sorted(set(flat[start:end]))


def number(columns: Iterable[Sequence[str]]) -> tuple[Texts, Ints]:
    """Number the distinct normalised texts of some columns; also say which stand where.

    Returns the texts, and the (rows, columns) numbers of each row's texts.
    """
    numbers: dict[str, int] = {}
    vocabulary: dict[str, int] = {}
    flat: list[int] = []
    lengths: list[int] = []
    seen: list[list[int]] = []
    for column in columns:
        seen.append([])
        for text in column:
            found = words(text)
            key = " ".join(found)
            if key not in numbers:
                numbers[key] = len(numbers)
                lengths.append(len(found))
                flat.extend(vocabulary.setdefault(word, len(vocabulary)) for word in found)
            seen[-1].append(numbers[key])
    counts = np.bincount(np.array(flat, np.int64), minlength=len(vocabulary))
    rarity = np.empty(len(vocabulary), np.int64)
    rarity[np.argsort(counts, kind="stable")] = np.arange(len(vocabulary))
    offsets = np.concatenate(([0], np.cumsum(np.array(lengths, np.int64))))
    return Texts(list(numbers), rarity[flat], offsets), np.array(seen, np.int64).T


def holding(held: Texts, holders: Texts, *, same: bool = False) -> tuple[Flags, Flags]:
    """Say which of `held` stand within some holder, and which of `holders` hold one of them.

    same: both are the same texts; that a text holds itself then does not count
    """
    is_held = np.zeros(len(held.keys), bool)
    holds = np.zeros(len(holders.keys), bool)
    places = np.argsort(holders.flat, kind="stable")
    vocabulary = max(held.flat.max(initial=0), holders.flat.max(initial=0)) + 1
    first = np.concatenate(([0], np.cumsum(np.bincount(holders.flat, minlength=vocabulary))))
    text_at = np.repeat(np.arange(len(holders.keys)), holders.lengths)
    power = _powers(len(holders.flat))
    prefix = _summed(_values(holders.flat) * power[:-1])
    own = _hashes(held)
    anchor = _rarest(held, np.diff(first))
    word = held.flat[anchor]
    todo = np.diff(first)[word]
    for text, nth in _chunks(todo):
        start = places[first[word[text]] + nth] - (anchor - held.offsets[:-1])[text]
        end = start + held.lengths[text]
        fits = (start >= 0) & (end <= len(text_at))
        text, start, end = text[fits], start[fits], end[fits]
        holder = text_at[start]
        hit = (holder == text_at[end - 1]) & (
            prefix[end] - prefix[start] == own[text] * power[start]
        )
        if same:
            hit &= holder != text
        is_held[text[hit]] = True
        holds[holder[hit]] = True
    return is_held, holds


def repeating(texts: Texts, others: Texts) -> Flags:
    """Say which texts nearly repeat one of the others."""
    by_word: dict[int, list[set[int]]] = {}
    for other in others.sets():
        members = set(other)
        for word in _prefix(other):
            by_word.setdefault(word, []).append(members)
    found = np.zeros(len(texts.keys), bool)
    for text, own in enumerate(texts.sets()):
        found[text] = any(
            _nearly(own, members) for word in _prefix(own) for members in by_word.get(word, ())
        )
    return found


def _prefix(ordered: list[int]) -> list[int]:
    """Return the rarest words, of which two nearly equal sets must share one."""
    return ordered[: len(ordered) // 5 + 1]  # size - ceil(0.8 * size) + 1


def _nearly(own: list[int], members: set[int]) -> bool:
    shared = len(members.intersection(own))
    return 5 * shared >= 4 * (len(own) + len(members) - shared)  # Jaccard index >= 0.8


def _powers(count: int) -> NDArray[np.uint64]:
    """Return B^0 ... B^count modulo 2^64."""
    power = np.full(count + 1, _BASE, np.uint64)
    power[0] = 1
    return np.cumprod(power, dtype=np.uint64)


def _summed(terms: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the sums of the first 0, 1, ... terms, modulo 2^64."""
    sums = np.zeros(len(terms) + 1, np.uint64)
    np.cumsum(terms, dtype=np.uint64, out=sums[1:])
    return sums


def _hashes(texts: Texts) -> NDArray[np.uint64]:
    """Return each text's sum of value(word j) * B^j, j counted from its own first word."""
    within = np.arange(len(texts.flat)) - np.repeat(texts.offsets[:-1], texts.lengths)
    power = _powers(int(texts.lengths.max(initial=0)))
    return np.diff(_summed(_values(texts.flat) * power[within])[texts.offsets])


def _values(flat: Ints) -> NDArray[np.uint64]:
    """Return a well-mixed 64-bit value for each word number (the finaliser of splitmix64)."""
    value = (flat.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = value ^ (value >> np.uint64(31))
    return mixed


def _rarest(texts: Texts, counts: Ints) -> Ints:
    """Return the place in `flat` of each text's word that is rarest by these counts."""
    text_at = np.repeat(np.arange(len(texts.keys)), texts.lengths)
    order = np.lexsort((counts[texts.flat], text_at))
    return order[texts.offsets[:-1]]


def _chunks(todo: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield (text, nth) for nth in range(todo[text]), a bounded number of pairs at a time."""
    total = np.concatenate(([0], np.cumsum(todo)))
    for low in range(0, int(total[-1]), _PAIRS_AT_ONCE):
        pair = np.arange(low, min(low + _PAIRS_AT_ONCE, int(total[-1])))
        text = np.searchsorted(total, pair, side="right") - 1
        yield text, pair - total[text]
