"""Label columns as class numbers and names, or as the targets of a regression.

Names come from the source where it declares them; else text labels are their own names, sorted,
whole numbers 0 ... n-1 become LABEL_0 ... (as Transformers calls them) and other whole numbers name
themselves. Digits that a text file holds as text count as numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.tasks.table import Table, shown

Label = int | str

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_REGRESSION = "for a regression, set task.metric: pearson or spearman"


def classes(
    tables: Sequence[Table], column: str
) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    """Return each table's class numbers, and the names; the first table (train) defines them."""
    given = [table.column(column, "task.label") for table in tables]
    read = as_numbers(
        [
            plain(t, column, values, range(len(values)))
            for t, values in zip(tables, given, strict=True)
        ]
    )
    declared = tables[0].label_names.get(column, ())
    numbers, names = numbering(read[0], declared, tables[0], column)
    found = []
    for values, table in zip(read, tables, strict=True):
        labels = encode(values, numbers, table, column, range(len(values)))
        several_classes(labels, names, table.where)
        found.append(labels)
    return found, names


def several_classes(labels: NDArray[Any], names: Sequence[str], where: str) -> None:
    """Refuse a split whose rows are all of one class, or all have the same labels."""
    if not (labels == labels[0]).all():
        return
    if labels.ndim == 2:
        same = ", ".join(names[one] for one in np.flatnonzero(labels[0]).tolist()) or "none"
        raise DataError(
            f"{where}: all {len(labels):,} rows have the same labels ({same}); rows that differ are"
            " needed to learn or to measure anything"
        )
    raise DataError(
        f"{where}: all {len(labels):,} rows are of the class {names[int(labels[0])]!r}; rows of"
        " at least two classes are needed to learn or to measure anything"
    )


def targets(tables: Sequence[Table], column: str) -> list[NDArray[np.float32]]:
    """Return each table's labels as real numbers."""
    found = []
    for table in tables:
        numbers = []
        for row, value in enumerate(table.column(column, "task.label")):
            try:
                number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
            except (TypeError, ValueError):
                number = math.nan
            if not math.isfinite(number):
                raise DataError(
                    f"{table.where}: label {shown(value)} in row {row} (counted from 0) is no"
                    " number; a regression (metric: pearson, spearman) needs one in each row"
                )
            numbers.append(number)
        if min(numbers) == max(numbers):
            raise DataError(
                f"{table.where}: every label in {column!r} is {numbers[0]}; a regression needs"
                " labels that differ"
            )
        found.append(np.array(numbers, np.float32))
    return found


def as_numbers(read: list[list[Label]]) -> list[list[Label]]:
    """Return labels as numbers, where all of them are; text files hold them as digits."""
    if all(isinstance(v, int) or _WHOLE.fullmatch(v) for values in read for v in values):
        return [[int(float(value)) for value in values] for values in read]
    return read


def plain(table: Table, column: str, labels: Sequence[object], rows: Sequence[int]) -> list[Label]:
    """Return labels as whole numbers or text; a missing one is an error.

    rows: where each label stands, for messages
    """
    found: list[Label] = []
    for row, value in zip(rows, labels, strict=True):
        if isinstance(value, bool):
            found.append(str(value))
        elif isinstance(value, int) or (isinstance(value, str) and value.strip()):
            found.append(value)
        elif isinstance(value, float) and value.is_integer():
            found.append(int(value))
        else:
            raise _no_label(table, column, value, row)
    if len({type(value) for value in found}) > 1:
        raise DataError(
            f"{table.where}: column {column!r} mixes numbers and text as labels; use one of them"
        )
    unlabelled = sum(value in (-1, "-1") for value in found)
    if unlabelled:
        raise DataError(
            f"{table.where}: {unlabelled:,} of {len(found):,} labels in column {column!r} are -1,"
            " which marks rows without a label (as in the hub's test splits); give a labelled"
            " split, and name a file of texts without labels as task.unlabelled"
        )
    return found


def numbering(
    train: list[Label], declared: tuple[str, ...], table: Table, column: str
) -> tuple[dict[Label, int], tuple[str, ...]]:
    """Return each label's class number, and the classes' names."""
    distinct = sorted(set(train), key=lambda label: (isinstance(label, str), label))
    if declared:
        return {**dict(zip(declared, range(len(declared)), strict=True))} | {
            number: number for number in range(len(declared))
        }, declared
    if len(distinct) > max(50, len(train) // 2):
        raise DataError(
            f"{table.where}: column {column!r} holds {len(distinct):,} different labels in"
            f" {len(train):,} rows, which are hardly classes; {_REGRESSION}"
        )
    numbers = {label: number for number, label in enumerate(distinct)}
    counted = distinct == list(range(len(distinct)))
    return numbers, tuple(f"LABEL_{label}" if counted else str(label) for label in distinct)


def encode(
    values: Sequence[Label],
    numbers: Mapping[Label, int],
    table: Table,
    column: str,
    rows: Sequence[int],
) -> NDArray[np.int64]:
    """Return the class number of each label; one that train doesn't have is an error."""
    for row, value in zip(rows, values, strict=True):
        if value not in numbers:
            known = [str(label) for label in numbers][:20]
            raise DataError(
                f"{table.where}: label {shown(value)} in row {row} (counted from 0) of column"
                f" {column!r} is out of range; the classes are {', '.join(known)}"
            )
    return np.array([numbers[value] for value in values], np.int64)


def _no_label(table: Table, column: str, value: object, row: int) -> DataError:
    if isinstance(value, float) and not math.isnan(value):
        why = f"no class; {_REGRESSION}"
    elif isinstance(value, list | tuple):
        why = "a list, and train holds one label a row"
    else:
        why = "missing; each row needs a label"
    return DataError(
        f"{table.where}: label {shown(value)} in row {row} (counted from 0) of column {column!r}"
        f" is {why}"
    )
