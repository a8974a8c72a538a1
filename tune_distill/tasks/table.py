"""A table of outside data: its columns by name, read when asked for, and where it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tune_distill.errors import DataError
from tune_distill.spec.problems import did_you_mean


@dataclass(frozen=True)
class Table:
    """Rows from a file or a hub data set.

    where: what the user calls it, for messages
    columns: the names of its columns
    values: reads one column: plain Python values, a row each
    label_names: class names by column, where the source declares them (`ClassLabel`)
    """

    where: str
    columns: tuple[str, ...]
    values: Callable[[str], list[object]]
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def column(self, name: str, key: str) -> list[object]:
        """Return a column's values; `key` is the place in the study that names the column."""
        if name not in self.columns:
            raise DataError(
                f"{key}: no column {name!r} in {self.where}, which has"
                f" {', '.join(self.columns)}{did_you_mean(name, self.columns)}"
            )
        values = self.values(name)
        if not values:
            raise DataError(f"{self.where}: no rows; a split needs some of each class")
        return values

    def text(self, name: str) -> list[str]:
        """Return a text column; anything but text in it is an error."""
        values = self.column(name, "task.text")
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) < len(values):
            row = next(row for row, value in enumerate(values) if not isinstance(value, str))
            raise DataError(
                f"{self.where}: column {name!r} holds {shown(values[row])} in row {row} (counted"
                f" from 0), one of {len(values) - len(texts):,} such rows; task.text needs a"
                " column of texts without gaps"
            )
        try:
            "".join(texts).encode()
        except UnicodeEncodeError as error:  # JSON can write halves of surrogate pairs
            raise DataError(
                f"{self.where}: column {name!r} is no valid Unicode: {error}"
            ) from error
        return texts


def shown(value: object) -> str:
    """Return a value and its type as a message shows them."""
    if value is None:
        return "nothing (null)"
    written = repr(value)
    return f"{written[:60]}{'...' * (len(written) > 60)} ({type(value).__name__})"
