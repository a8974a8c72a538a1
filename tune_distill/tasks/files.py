"""Local files as tables: parquet, CSV, TSV and JSON lines, all UTF-8.

Nothing is guessed about cells of CSV and TSV: they are text, so "NA", "null" and "1e5" stay what
they are. CSV is quoted as in RFC 4180. TSV is not quoted (text/tab-separated-values, and GLUE's own
files, where a leading quotation mark is part of the sentence). Names of classes are read from
parquet that was written by `datasets`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tune_distill.errors import DataError
from tune_distill.spec.problems import did_you_mean
from tune_distill.tasks.table import Table


def read(path: Path, key: str, lines: str | None = None) -> Table:
    """Open a file by its extension; `key` is the place in the study that names it.

    lines: the column that the lines of a .txt are; None where texts alone are not enough
    """
    known = _READERS | ({} if lines is None else {".txt": partial(_lines, column=lines)})
    reader = known.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"{key}: {path} ends in {path.suffix or 'nothing'!r}, which is no format known here;"
            f" give one of {', '.join(known)}"
        )
    if not path.is_file():
        beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(
            f"{key}: {path} {what}{did_you_mean(path.name, beside)};"
            f" relative paths start at {Path.cwd()}"
        )
    return reader(path, f"{key} ({path})")


def _parquet(path: Path, where: str) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{where}: not a readable parquet file: {error}") from error

    def values(name: str) -> list[object]:
        try:
            column: list[object] = pq.read_table(path, columns=[name]).column(name).to_pylist()
        except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{where}: column {name!r} cannot be read: {error}") from error
        return column

    return Table(where, tuple(schema.names), values, _class_labels(schema.metadata or {}))


def _class_labels(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Return the names in the schema's "huggingface" entry, which `datasets` writes."""
    try:
        features: Any = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        inner = {column: one.get("feature", one) for column, one in features.items()}
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in inner.items()  # of what a list holds, where it is one
            if feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # no such entry, or another tool's: then the values name themselves


def _separated(path: Path, where: str) -> Table:
    tabs = path.suffix.lower() == ".tsv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = (
            csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if tabs
            else csv.reader(file, strict=True)
        )
        with _naming_the_line(where, lambda: reader.line_num):
            rows = [(reader.line_num, cells) for cells in reader if cells]
    if not rows:
        raise DataError(f"{where}: empty; its first line has to name the columns")
    (_, header), *body = rows
    if len(set(header)) < len(header):
        raise DataError(f"{where}: two columns have the same name; the header is {header}")
    for line, cells in body:
        if len(cells) != len(header):
            raise DataError(
                f"{where}: line {line} has {len(cells)} cells, the header {len(header)}; "
                + ("cells of TSV are never quoted" if tabs else "quote cells that hold commas")
            )
    return _by_row(where, header, [dict(zip(header, cells, strict=True)) for _, cells in body])


def _json_lines(path: Path, where: str) -> Table:
    rows: list[dict[str, object]] = []
    line = 0
    with path.open(encoding="utf-8-sig") as file, _naming_the_line(where, lambda: line):
        for line, written in enumerate(file, start=1):
            if not written.strip():
                continue
            row = json.loads(written)
            if not isinstance(row, dict):
                raise DataError(f"{where}: line {line} is no JSON object; one a line is needed")
            rows.append(row)
    return _by_row(where, list(dict.fromkeys(name for row in rows for name in row)), rows)


def _lines(path: Path, where: str, column: str) -> Table:
    texts: list[object] = []
    with path.open(encoding="utf-8-sig") as file, _naming_the_line(where, lambda: len(texts)):
        texts.extend(line.rstrip("\r\n") for line in file)
    return Table(where, (column,), lambda _: texts)


@contextmanager
def _naming_the_line(where: str, line: Callable[[], int]) -> Iterator[None]:
    """Turn what a parser says about a line into an error for the user."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 after line {line()}: {error}") from error
    except (csv.Error, json.JSONDecodeError) as error:
        raise DataError(f"{where}: line {line()} cannot be read: {error}") from error


def _by_row(where: str, columns: list[str], rows: Sequence[Mapping[str, object]]) -> Table:
    return Table(where, tuple(columns), lambda name: [row.get(name) for row in rows])


_READERS: dict[str, Callable[[Path, str], Table]] = {
    ".parquet": _parquet,
    ".csv": _separated,
    ".tsv": _separated,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
}
