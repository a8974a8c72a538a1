"""A task as text: its rows in three splits, and the digest that says which rows they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class DataWarning(UserWarning):
    """Data that can be used, though its user should know something about it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one split.

    texts: one list a text column (one for sentences, two for pairs), all equally long
    labels: (rows,) int64 class numbers, or float32 targets of a regression
    """

    texts: tuple[list[str], ...]
    labels: NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """Return these rows, in this order."""
        kept = rows.tolist()
        return Rows(
            tuple([column[row] for row in kept] for column in self.texts), self.labels[rows]
        )


@dataclass(frozen=True, eq=False)
class Task:
    """A classification or regression task, ready to be tokenised.

    train: what teachers and students learn from
    search: what a search may look at to choose; shares no sentence with train
    heldout: the official validation split, read once, when the choice is made
    label_names: a name a class, by class number; empty for a regression
    metric: accuracy, f1, mcc, pearson or spearman
    digest: sha256 over the texts, labels and label names of all three splits
    notes: what a user should know of how the splits were made, a line each
    """

    name: str
    train: Rows
    search: Rows
    heldout: Rows
    label_names: tuple[str, ...]
    metric: str
    digest: str
    notes: tuple[str, ...] = ()


def digest(splits: Iterable[Rows], label_names: tuple[str, ...]) -> str:
    """Return sha256 over everything that defines the rows; each string goes in with its length."""
    state = hashlib.sha256()

    def add(kind: bytes, strings: Iterable[str]) -> None:
        encoded = [string.encode() for string in strings]
        state.update(kind + len(encoded).to_bytes(8, "little"))
        state.update(np.array([len(one) for one in encoded], "<i8").tobytes())
        state.update(b"".join(encoded))

    add(b"names", label_names)
    for rows in splits:
        state.update(b"split" + len(rows.texts).to_bytes(8, "little"))
        for column in rows.texts:
            add(b"texts", column)
        kind = "<f4" if rows.labels.dtype.kind == "f" else "<i8"
        state.update(kind.encode() + rows.labels.astype(kind).tobytes())
    return state.hexdigest()
