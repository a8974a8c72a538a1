"""Several labels a row: a column of lists, or a column of 0 and 1 for each label.

Lists hold names or class numbers, and may be empty (parquet, JSON lines, the hub). Cells of CSV and
TSV are never taken apart: there each label has a column of its own, as on Kaggle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.tasks.labels import as_numbers, encode, numbering, plain, several_classes
from tune_distill.tasks.table import Table, shown

Sets = NDArray[np.float32]  # (rows, classes) of 0 and 1

_FLAGS: dict[object, bool] = {
    **{0: False, "0": False, "0.0": False, "false": False},  # keys 0, 0.0 and False are one
    **{1: True, "1": True, "1.0": True, "true": True},
}


def has_lists(table: Table, column: str) -> bool:
    """Say whether a column holds lists of labels."""
    return any(isinstance(value, list | tuple) for value in table.column(column, "task.label"))


def lists(tables: Sequence[Table], column: str) -> tuple[list[Sets], tuple[str, ...]]:
    """Return the labels of each table's rows, and their names; the first table (train) has all."""
    read = [_flat(table, column) for table in tables]
    values = as_numbers(
        [
            plain(table, column, one.labels, one.rows)
            for table, one in zip(tables, read, strict=True)
        ]
    )
    numbers, names = numbering(values[0], tables[0].label_names.get(column, ()), tables[0], column)
    if len(names) < 2:
        raise DataError(
            f"{tables[0].where}: the lists in column {column!r} hold {len(names)} different labels;"
            " two or more make a multi-label task, a column of 0 and 1 a task of two classes"
        )
    found = []
    for table, one, labels in zip(tables, read, values, strict=True):
        made = _sets(table, column, one, encode(labels, numbers, table, column, one.rows), names)
        several_classes(made, names, table.where)
        found.append(made)
    return found, names


def flags(tables: Sequence[Table], columns: Sequence[str]) -> list[Sets]:
    """Return the labels of each table's rows, from a column of 0 and 1 for each."""
    found = []
    for table in tables:
        made = np.stack([_flags(table, column) for column in columns], axis=1)
        several_classes(made, columns, table.where)
        found.append(made)
    return found


@dataclass(frozen=True)
class _Flat:
    """A column of lists: each label, and the row that it stands in."""

    labels: list[object]
    rows: list[int]
    length: int  # rows


def _flat(table: Table, column: str) -> _Flat:
    labels: list[object] = []
    rows: list[int] = []
    values = table.column(column, "task.label")
    for row, value in enumerate(values):
        if not isinstance(value, list | tuple):
            raise DataError(
                f"{table.where}: label {shown(value)} in row {row} (counted from 0) of column"
                f" {column!r} is no list, as others are; a row without a label has an empty one"
            )
        labels.extend(value)
        rows.extend([row] * len(value))
    return _Flat(labels, rows, len(values))


def _sets(
    table: Table, column: str, read: _Flat, classes: NDArray[np.int64], names: Sequence[str]
) -> Sets:
    counts = np.zeros((read.length, len(names)), np.float32)
    np.add.at(counts, (np.array(read.rows, np.int64), classes), 1)
    twice = (counts > 1).any(axis=1)
    if twice.any():
        raise DataError(
            f"{table.where}: the list in row {twice.argmax()} (counted from 0) of column {column!r}"
            " has a label twice; a list names its row's labels. What is 0 or 1 for each label"
            " needs a column for each: task.label: [one, other, ...]"
        )
    return counts


def _flags(table: Table, column: str) -> Sets:
    found = []
    for row, value in enumerate(table.column(column, "task.label")):
        written = value.strip().lower() if isinstance(value, str) else value
        flag = None if isinstance(written, list | dict) else _FLAGS.get(written)
        if flag is None:
            raise DataError(
                f"{table.where}: label {shown(value)} in row {row} (counted from 0) of column"
                f" {column!r} is neither 0 nor 1; where task.label names several columns, each says"
                " which rows have one label"
            )
        found.append(flag)
    return np.array(found, np.float32)
