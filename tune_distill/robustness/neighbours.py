"""A table from whatever a user has: neighbours in a file, word vectors, or a WordNet folder.

folder                          WordNet's dict files
.parquet .csv .tsv .jsonl       columns word, neighbour (or synonym), and cosine or rank if known
.json                           {word: [neighbour, ...]} or {word: [[neighbour, cosine], ...]}
.txt .vec .npz                  word vectors
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from tune_distill.errors import DataError
from tune_distill.robustness import vectors, wordnet
from tune_distill.robustness.table import Entry, Table
from tune_distill.tasks import files

NAMES = ("neighbour", "neighbor", "synonym")
FORMATS = "a WordNet dict folder, .parquet, .csv, .tsv, .jsonl, .json, .txt, .vec or .npz"


def read(path: Path, key: str) -> Table:
    """The table that a file or folder holds.

    Args:
        path: what the user gave.
        key: the place that named it, for messages.

    Raises:
        DataError: it holds none.
    """
    if path.is_dir():
        table = wordnet.read(path, key)
    elif path.suffix in (".txt", ".vec", ".npz") and path.is_file():
        table = vectors.read(path, key)
    elif path.suffix == ".json" and path.is_file():
        table = _json(path, key)
    else:
        table = _columns(path, key)
    if not len(table.words):
        raise DataError(f"{key}: {path}: no word in it has a neighbour")
    return table


def _json(path: Path, key: str) -> Table:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return Table.of(
            {
                word: [_entry(one) for one in (found.items() if isinstance(found, dict) else found)]
                for word, found in read.items()
            }
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{key}: {path}: no neighbours; {{word: [neighbour, ...]}} or"
            f" {{word: [[neighbour, cosine], ...]}} is read, got {error}"
        ) from None


def _entry(one: str | Sequence[str | float]) -> Entry:
    if isinstance(one, str):
        return one, math.nan
    neighbour, cosine = one
    return str(neighbour), float(cosine)


def _columns(path: Path, key: str) -> Table:
    table = files.read(path, key)
    column = next((name for name in NAMES if name in table.columns), NAMES[0])
    words, near = (table.column(name, key) for name in ("word", column))
    cosines = table.column("cosine", key) if "cosine" in table.columns else [None] * len(words)
    rows = list(zip(words, near, cosines, strict=True))
    if "rank" in table.columns:
        ranks = table.column("rank", key)
        rows = [rows[at] for at in sorted(range(len(rows)), key=lambda at: float(str(ranks[at])))]
    found: dict[str, list[Entry]] = {}
    for word, neighbour, cosine in rows:
        value = math.nan if cosine in (None, "") else float(str(cosine))
        found.setdefault(str(word), []).append((str(neighbour), value))
    if "rank" not in table.columns and "cosine" in table.columns:
        found = {word: sorted(own, key=lambda e: -e[1]) for word, own in found.items()}
    return Table.of(found)
