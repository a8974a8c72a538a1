"""Texts without labels, for the teacher to answer: added to train, behind its labelled rows.

A text that shares a sentence with a row that models are scored on is dropped, as such training rows
are (`split.py`); so is one that train has already, or the file itself, but for case, punctuation
and spacing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.methods.losses import NO_LABEL
from tune_distill.tasks import files, kin
from tune_distill.tasks.rows import Rows
from tune_distill.tasks.words import Flags, Ints, number

_KEY = "task.unlabelled"


def unlabelled(
    file: str, columns: tuple[str, ...], train: Rows, evaluated: Iterable[Rows]
) -> tuple[Rows, str]:
    """Return the training rows with a file's texts behind them, and what became of these.

    columns: the task's text columns, which the file has, too; of .txt each line is a text
    evaluated: the splits that models are scored on
    """
    texts = _read(Path(file), columns)
    held = [
        list(chain(*column)) for column in zip(*(rows.texts for rows in evaluated), strict=True)
    ]
    first, new = len(held[0]), len(texts[0])
    known, ids = number([a + b + c for a, b, c in zip(held, train.texts, texts, strict=True)])
    repeats = _repeats(ids[first:])[-new:]
    compared = np.r_[:first, len(ids) - new : len(ids)]
    counts = kin.counting(known, ids)[compared]
    related = kin.related(known, ids[compared], counts, np.arange(first))[-new:]
    kept = np.flatnonzero(~related & ~repeats).tolist()
    note = (
        f"{_KEY}: {new:,} texts: {len(kept):,} added to the training rows, {new - len(kept):,}"
        f" dropped ({related.sum():,} related to a search or held-out row,"
        f" {(repeats & ~related).sum():,} repeats of a training row or one another)"
    )
    if not kept:
        raise DataError(f"{note}; nothing is left to add: give other texts, or leave it out")
    both = zip(train.texts, texts, strict=True)
    added = tuple(column + [more[row] for row in kept] for column, more in both)
    return Rows(added, np.concatenate((train.labels, missing(train.labels, len(kept))))), note


def missing(labels: NDArray[np.generic], rows: int) -> NDArray[np.generic]:
    """Return the labels of rows that have none, of the same kind."""
    nothing = np.nan if labels.dtype.kind == "f" else NO_LABEL
    return np.full((rows, *labels.shape[1:]), nothing, labels.dtype)


def _read(path: Path, columns: tuple[str, ...]) -> list[list[str]]:
    """Return the texts of a file by column, without rows that say nothing."""
    if path.suffix.lower() == ".txt" and len(columns) > 1:
        raise DataError(
            f"{_KEY}: {path} has one text a line, and the task's rows are pairs; give parquet, CSV,"
            f" TSV or JSON lines with the columns {', '.join(columns)}"
        )
    table = files.read(path, _KEY, columns[0])
    read = [table.text(column) for column in columns]
    rows = [row for row in zip(*read, strict=True) if all(text.strip() for text in row)]
    if not rows:
        raise DataError(f"{table.where}: no texts in it")
    return [list(column) for column in zip(*rows, strict=True)]


def _repeats(ids: Ints) -> Flags:
    """Say which rows have the same words as an earlier one."""
    first = np.unique(ids, axis=0, return_index=True)[1]
    repeats = np.ones(len(ids), bool)
    repeats[first] = False
    return repeats
