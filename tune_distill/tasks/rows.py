"""A task as text: its rows in their splits, and the digest that says which rows they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tune_distill.methods.base import Kind
from tune_distill.methods.losses import NO_LABEL


class DataWarning(UserWarning):
    """Data that can be used, though its user should know something about it."""


def kind_of(labels: NDArray[np.generic], label_names: tuple[str, ...]) -> Kind:
    """Return what is predicted: a class, a set of labels, or a number."""
    if not label_names:
        return "regression"
    return "multi_label" if labels.ndim == 2 else "single_label"


def labelled(labels: NDArray[np.generic]) -> int:
    """Return how many rows have a label: they come first, so that they keep their row numbers.

    labels: int64, -100 for none; float32, NaN for none
    """
    if labels.dtype.kind == "f":
        without = np.isnan(labels.reshape(len(labels), -1)).all(axis=1)
    else:
        without = labels == NO_LABEL
    count = len(labels) - int(without.sum())
    if without[:count].any():
        raise ValueError("rows without a label have to come after those with one")
    return count


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of one split.

    texts: one list a text column (one for sentences, two for pairs), all equally long
    labels: (rows,) int64 class numbers; (rows, classes) float32 of 0 and 1, where a row may have
        several labels; (rows,) float32 targets of a regression. Rows without a label (-100, NaN)
        are in train alone, behind the others
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

    def labelled(self) -> Rows:
        """Return the rows that have a label."""
        count = labelled(self.labels)
        return Rows(tuple(column[:count] for column in self.texts), self.labels[:count])


@dataclass(frozen=True, eq=False)
class Task:
    """A classification or regression task, ready to be tokenised.

    train: what teachers and students learn from
    search: what a search may look at to choose; shares no sentence with train
    heldout: the official validation split, read once, when the choice is made
    label_names: a name a class, by class number; empty for a regression
    metric: the objective's; one of `metrics.METRICS` of the task's kind
    digest: sha256 over the texts, labels and label names of all splits
    notes: what a user should know of how the splits were made, a line each
    more: further held-out splits by name (heldout_mismatched of MNLI), read when `heldout` is
    further_metrics: those that are reported beside `metric` for held-out rows
    """

    name: str
    train: Rows
    search: Rows
    heldout: Rows
    label_names: tuple[str, ...]
    metric: str
    digest: str
    notes: tuple[str, ...] = ()
    more: Mapping[str, Rows] = field(default_factory=dict)
    further_metrics: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> Kind:
        """What is predicted."""
        return kind_of(self.train.labels, self.label_names)

    def splits(self) -> dict[str, Rows]:
        """Return all splits by name."""
        own = {"train": self.train, "search": self.search, "heldout": self.heldout}
        return own | dict(self.more)

    def labelled(self) -> Task:
        """Return the task as it is without `task.unlabelled`: what teachers are fine-tuned on."""
        train = self.train.labelled()
        if len(train) == len(self.train):
            return self
        splits = self.splits() | {"train": train}
        return replace(self, train=train, digest=digest(splits.values(), self.label_names))


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
