"""A table of neighbours from word vectors, counter-fitted ones above all (Mrksic et al. 2016).

    cosine(a, b) = a·b / (‖a‖ ‖b‖)       the nearest 50 at 0.5 or more, as in TextFooler

Plain vectors put antonyms side by side, since they occur in the same places; counter-fitting
pushes them apart. Text files hold `word v1 v2 ...` a line, as GloVe's (a header `rows width`, as
word2vec's, is skipped); npz files the arrays `words` and `vectors`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.robustness.table import Table

NEIGHBOURS, MIN_COSINE = 50, 0.5  # TextFooler's
BLOCK = 1024  # words whose cosines with all others are in memory at once


def read(
    path: Path, key: str, neighbours: int = NEIGHBOURS, min_cosine: float = MIN_COSINE
) -> Table:
    """The nearest neighbours of each word by cosine.

    Raises:
        DataError: the file holds no word vectors.
    """
    words, vectors = _npz(path, key) if path.suffix == ".npz" else _text(path, key)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    found = {}
    for start in range(0, len(words), BLOCK):
        cosines = unit[start : start + BLOCK] @ unit.T  # (block, words)
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -1.0  # itself
        most = min(neighbours, len(words) - 1)
        near = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        for row, (own, ids) in enumerate(zip(cosines, near, strict=True), start):
            ranked = ids[np.lexsort((ids, -own[ids]))]
            kept = [(words[one], float(own[one])) for one in ranked if own[one] >= min_cosine]
            found[words[row]] = kept
    return Table.of(found)


def _text(path: Path, key: str) -> tuple[list[str], NDArray[np.float32]]:
    words, rows = [], []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                word, *values = line.rstrip().split(" ")
                if number == 1 and len(values) == 1:
                    continue  # word2vec's header
                rows.append(np.array(values, np.float32))
                words.append(word)
        vectors = np.stack(rows)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{key}: {path}: no word vectors, a word and its numbers a line: {error}"
        ) from None
    return _checked(words, vectors, path, key)


def _npz(path: Path, key: str) -> tuple[list[str], NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            words, vectors = file["words"].astype(str).tolist(), file["vectors"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{key}: {path}: needs the arrays words and vectors: {error}") from None
    return _checked(words, np.asarray(vectors, np.float32), path, key)


def _checked(
    words: list[str], vectors: NDArray[np.float32], path: Path, key: str
) -> tuple[list[str], NDArray[np.float32]]:
    if len(words) < 2 or vectors.shape[:1] != (len(words),) or vectors.ndim != 2:
        got = f"{len(words)} words, vectors {vectors.shape}"
        raise DataError(f"{key}: {path}: two words or more, with a vector each, are needed; {got}")
    if not np.isfinite(vectors).all():
        raise DataError(f"{key}: {path}: some vectors are not finite")
    return words, vectors
