"""front.json as a table for spreadsheets and data frames: a row a trial, docs/front.md has it all.

Lists are numbers with spaces between, whatever isn't there is empty.
"""

from __future__ import annotations

import csv
import io
from typing import Any

from tune_distill.plots.data import Data


def as_csv(data: Data) -> str:
    """The trials as CSV: how each stands, objectives with their 95 % intervals, then knobs."""
    names = [o["name"] for o in data["objectives"]]
    knobs = list(dict.fromkeys(name for trial in data["trials"] for name in trial["params"]))
    rows = [_row(data, trial, names) for trial in data["trials"]]
    text = io.StringIO()
    heads = [*_row(data, _NONE, names), *knobs]
    writer = csv.DictWriter(text, heads, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


_NONE: Data = {
    **dict.fromkeys(("number", "state", "on_front", "control", "seconds", "epochs")),
    **{name: [] for name in ("tied_with", "dominated_by", "breaks")},
    **{name: {} for name in ("objectives", "intervals", "params")},
}


def _row(data: Data, trial: Data, names: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "schema_version": data["schema_version"],
        "trial": trial["number"],
        "state": trial["state"],
        "on_front": trial["on_front"],
        "tied_with": _listed(trial["tied_with"]),
        "dominated_by": _listed(trial["dominated_by"]),
        "breaks": " and ".join(trial["breaks"]),
        "control": trial["control"],
        "seconds": trial["seconds"],
        "epochs": trial["epochs"],
    }
    for name in names:
        low, high = trial["intervals"].get(name, (None, None))
        row |= {name: trial["objectives"].get(name), f"{name}.low": low, f"{name}.high": high}
    return {**row, **trial["params"]}


def _listed(numbers: list[int]) -> str:
    return " ".join(map(str, numbers))
