"""A table of neighbours: for a word the words that may stand in its place, the nearest first.

On disk one parquet, `word, neighbour, cosine`, by word and then by rank; cosine is null where the
source has none. Words are in lower case. In memory two arrays and a dict; `digest` is of the
content, whatever the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError

Entry = tuple[str, float]  # a neighbour and its cosine, NaN where unknown
COLUMNS = ("word", "neighbour", "cosine")


@dataclass(frozen=True, eq=False)
class Table:
    """Neighbours by word."""

    words: tuple[str, ...]  # sorted, each once
    offsets: NDArray[np.int64]  # (words + 1,) into the two below
    neighbours: NDArray[np.object_]  # of str
    cosines: NDArray[np.float32]  # NaN where unknown

    @classmethod
    def of(cls, entries: Mapping[str, Iterable[Entry]]) -> Table:
        """A table of these entries; what cannot be one (a phrase, the word itself) is left out."""
        kept: dict[str, dict[str, float]] = {}
        fine = cache(usable)  # of this table: most words are neighbours of several
        for word, found in entries.items():
            own = kept.setdefault(word.lower(), {})
            for neighbour, cosine in found if fine(word) else ():
                if fine(neighbour) and neighbour.lower() != word.lower():
                    own.setdefault(neighbour, cosine)
        words = tuple(sorted(word for word, own in kept.items() if own))
        pairs = [pair for word in words for pair in kept[word].items()]
        return cls(
            words,
            np.cumsum([0, *(len(kept[word]) for word in words)]),
            np.array([neighbour for neighbour, _ in pairs], object),
            np.array([cosine for _, cosine in pairs], np.float32),
        )

    def near(
        self, word: str, most: int | None = None, min_cosine: float | None = None
    ) -> list[str]:
        """The neighbours of a word; `min_cosine` binds where cosines are known."""
        place = self._places.get(word.lower())
        if place is None:
            return []
        found = slice(*self.offsets[place : place + 2].tolist())
        cosines, neighbours = self.cosines[found], self.neighbours[found]
        if min_cosine is not None:
            neighbours = neighbours[np.isnan(cosines) | (cosines >= min_cosine)]
        near: list[str] = neighbours[:most].tolist()
        return near

    def entries(self) -> dict[str, list[Entry]]:
        """What `of` reads back."""
        spans = pairwise(self.offsets.tolist())
        return {
            word: list(zip(self.neighbours[a:b].tolist(), self.cosines[a:b].tolist(), strict=True))
            for word, (a, b) in zip(self.words, spans, strict=True)
        }

    def limited(self, most: int, min_cosine: float) -> Table:
        """The table with the nearest neighbours alone, by number and by cosine where known."""
        return Table.of(
            {
                word: [e for e in found if not e[1] < min_cosine][:most]
                for word, found in self.entries().items()
            }
        )

    def less(self, pairs: Iterable[Sequence[str]]) -> Table:
        """The table without these (word, neighbour) pairs, either way round: antonyms."""
        bad = {frozenset(one.lower() for one in pair) for pair in pairs}
        return Table.of(
            {
                word: [e for e in found if frozenset((word, e[0].lower())) not in bad]
                for word, found in self.entries().items()
            }
        )

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits over all of the content."""
        state = hashlib.sha256("\n".join([*self.words, "", *self.neighbours]).encode())
        state.update(self.offsets.astype("<i8").tobytes())
        state.update(self.cosines.astype("<f4").tobytes())
        return state.hexdigest()[:16]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    def write(self, path: Path) -> None:
        """File it as parquet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        counts = np.diff(self.offsets)
        words = pa.array([w for w, n in zip(self.words, counts, strict=True) for _ in range(n)])
        columns = [
            words.dictionary_encode(),
            pa.array(self.neighbours.tolist(), pa.string()),
            pa.array(self.cosines, pa.float32(), from_pandas=True),  # NaN to null
        ]
        pq.write_table(pa.table(columns, names=list(COLUMNS)), path, compression="zstd")


def opened(path: Path) -> Table:
    """The table that `write` filed.

    Raises:
        DataError: it is no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        read = pq.read_table(path, columns=list(COLUMNS)).combine_chunks()
        words = read.column("word").to_numpy(zero_copy_only=False).astype(object)
        neighbours = read.column("neighbour").to_numpy(zero_copy_only=False)
        cosines = read.column("cosine").to_numpy(zero_copy_only=False)  # null to NaN
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise DataError(f"{path}: no table of neighbours: {error}") from error
    starts = np.flatnonzero(np.r_[True, words[1:] != words[:-1]])[: len(words)]
    offsets = np.r_[starts, len(words)].astype(np.int64)
    return Table(tuple(words[offsets[:-1]]), offsets, neighbours, cosines.astype(np.float32))


def usable(word: str) -> bool:
    """Whether it can stand for one word: no phrase, and something to read in it."""
    return any(map(str.isalpha, word)) and not any(c.isspace() or c == "_" for c in word)
