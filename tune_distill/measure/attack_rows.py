"""What became of each attacked row, as a file beside the trial: paired tests need no second attack.

    attack  identity  row  outcome  queries  words_changed

`attack` is the recipe's name, `identity` all that its numbers depend on (`table-strict/30 #a1b2`),
`row` a row of the search split, `outcome` one of wrong, robust, flipped (`RowOutcome`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.statistics import paired_difference

if TYPE_CHECKING:
    from tune_distill.measure.robustness import Robustness

FILE = "attacks.parquet"  # in a trial's folder
_NAMES = np.array([outcome.name.lower() for outcome in RowOutcome])


def write_rows(found: Robustness, rows: NDArray[np.int64], path: Path) -> None:
    """File all attacks' outcomes, whole or not at all.

    Args:
        found: what the attacks did.
        rows: the numbers of the attacked rows.
        path: the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [
        pa.table(
            {
                "attack": pa.array([name] * len(rows)).dictionary_encode(),
                "identity": pa.array([one.recipe.shown] * len(rows)).dictionary_encode(),
                "row": pa.array(rows, pa.int64()),
                "outcome": pa.array(_NAMES[one.result.outcomes].tolist()).dictionary_encode(),
                "queries": pa.array(one.result.queries),
                "words_changed": pa.array(one.result.words_changed),
            }
        )
        for name, one in found.attacks.items()
    ]
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        partial = Path(folder) / path.name
        pq.write_table(pa.concat_tables(parts).unify_dictionaries(), partial)
        partial.replace(path)


def ties(files: Mapping[int, Path]) -> dict[int, list[int]]:
    """Which models can't be told apart: the paired interval of their difference holds 0.

    Args:
        files: of each model, of attacks on the same rows.

    Returns:
        The others that each may well equal in `robust_worst`, by number.
    """
    robust = {
        number: np.logical_and.reduce(list(read_rows(file).values()))
        for number, file in files.items()
    }
    found: dict[int, list[int]] = {number: [] for number in files}
    for one, other in combinations(sorted(files), 2):
        between = paired_difference(robust[one], robust[other])
        if between.low <= 0 <= between.high:
            found[one].append(other)
            found[other].append(one)
    return found


def read_rows(path: Path) -> Mapping[str, NDArray[np.bool_]]:
    """Which rows each attack left right: (rows,) by the attack's identity, rows in their order.

    Raises:
        DataError: no such file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).to_pydict()
        found: dict[str, dict[int, bool]] = {}
        for name, row, outcome in zip(
            *(table[column] for column in ("identity", "row", "outcome")), strict=True
        ):
            found.setdefault(name, {})[row] = outcome == RowOutcome.ROBUST.name.lower()
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise DataError(f"{path}: no outcomes of attacks: {error}") from error
    return {name: np.array([own[row] for row in sorted(own)]) for name, own in found.items()}
