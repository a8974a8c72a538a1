"""What attacks did, for people: a table and marked words in the terminal, rows to keep."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.words import split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tune_distill.cli.rows import Given
    from tune_distill.measure.robustness import AttackRates, Rate, Robustness

Data = dict[str, Any]


def summary(
    found: Robustness,
    given: Given,
    rows: NDArray[np.int64],
    model: str,
    masked: list[str] | None = None,
) -> Data:
    """All that is shown, as plain data.

    Args:
        found: what the attacks did.
        given: the rows they were chosen from.
        rows: the numbers of those that were attacked.
        model: what the user calls it.
        masked: names of the attacks that its gradient misleads; None where that wasn't checked.
    """
    labels = given.rows.labels[rows]
    most = max(float((labels == label).mean()) for label in range(len(given.names)))
    return {
        "model": model,
        "rows": given.where,
        "n": found.n,
        "clean": _rate(found.clean),
        "at_chance": found.clean.interval.low <= most,
        "majority": most,
        "masked": masked,
        "robust_worst": _rate(found.robust_worst),
        "attacks": [
            {
                "attack": one.recipe.shown,
                "robust": _rate(one.robust),
                "success": _rate(one.success) if one.success else None,
                "mean_queries": one.mean_queries,
                "words_changed": one.words_changed,
                "settings": one.recipe.canonical(),
                "flipped": list(_flipped(one, given, rows)),
            }
            for one in found.attacks.values()
        ],
    }


def _rate(rate: Rate) -> Data:
    interval = [rate.interval.low, rate.interval.high]
    return {"value": rate.value, "interval": interval, "n": rate.n}


def _flipped(one: AttackRates, given: Given, rows: NDArray[np.int64]) -> Iterator[Data]:
    """The flipped rows, those of the fewest changes first; changed words by place."""
    result, side = one.result, one.recipe.side % len(given.columns)
    flipped = [at for at, o in enumerate(result.outcomes) if o == RowOutcome.FLIPPED]
    for at in sorted(flipped, key=lambda at: (result.words_changed[at], at)):
        row = int(rows[at])
        clean = [column[row] for column in given.rows.texts]
        source = split(clean[side], one.recipe.joined)
        label = int(given.rows.labels[row])
        yield {
            "row": row,
            "label": label,
            "class": given.names[label],
            "clean": clean,
            "texts": [column[at] for column in result.texts],
            "queries": int(result.queries[at]),
            "side": side,
            "parts": [
                [gap, *_pair(source.words, result.changes[at], place)]
                for place, gap in enumerate(source.gaps)
            ],
        }


def _pair(words: Sequence[str], changes: Mapping[int, str], place: int) -> list[str]:
    """A word and, where it was changed, the new one; empty behind the last gap."""
    if place == len(words):
        return ["", ""]
    return [words[place], changes.get(place, "")]


def print_attacked(data: Data, examples: int) -> None:
    """The table, and some of the flipped rows with their changed words marked."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    console.print(f"{data['model']} on {data['n']} rows of {data['rows']}")
    console.print(f"clean accuracy {shown(data['clean'])}")
    for warning in warnings(data):
        console.print(warning, style="yellow")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, align in HEADINGS.items():
        table.add_column(name, justify=align, no_wrap=True)  # type: ignore[arg-type]
    for row in cells(data):
        table.add_row(*row)
    console.print(table)
    for one in data["attacks"]:
        for flipped in one["flipped"][:examples]:
            line = Text(f"\n{one['attack']}, row {flipped['row']}, {flipped['class']}: ", "dim")
            for gap, old, new in flipped["parts"]:
                line.append(gap)
                line.append(old, "red strike" if new else "")
                line.append(f" {new}" if new else "", "bold green")
            console.print(line, soft_wrap=True)


HEADINGS = {
    "attack": "left",
    "robust accuracy": "right",
    "success rate": "right",
    "queries": "right",
    "words changed": "right",
}


def cells(data: Data) -> list[list[str]]:
    """The table's rows, in the order of HEADINGS."""
    made = [
        [
            one["attack"],
            shown(one["robust"]),
            shown(one["success"]) if one["success"] else "",
            f"{one['mean_queries']:.1f}",
            f"{one['words_changed']:.1%}",
        ]
        for one in data["attacks"]
    ]
    if len(made) > 1:
        made.append(["worst of all", shown(data["robust_worst"]), "", "", ""])
    return made


def shown(rate: Data) -> str:
    """A rate and its interval."""
    low, high = rate["interval"]
    return f"{rate['value']:.3f} ({low:.3f} to {high:.3f})"


def warnings(data: Data) -> list[str]:
    """What makes the numbers say less than they seem to."""
    found = []
    if data["at_chance"]:
        found.append(
            f"no better than always giving the most frequent class ({data['majority']:.3f}): what"
            " such a model keeps under attack says nothing"
        )
    if data["masked"]:
        found.append(
            f"its gradient misleads {' and '.join(data['masked'])} (gradient masking): leaving"
            " words out flips over 2 points more; read its robustness in --order delete"
        )
    return found


def save_rows(data: Data, columns: Sequence[str], path: Path) -> None:
    """The adversarial rows in the task's columns, with the clean texts and the attack beside."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            **dict(zip(columns, flipped["texts"], strict=True)),
            "label": flipped["label"],
            **{f"clean_{c}": text for c, text in zip(columns, flipped["clean"], strict=True)},
            "row": flipped["row"],
            "attack": one["attack"],
        }
        for one in data["attacks"]
        for flipped in one["flipped"]
    ]
    texts = [(name, pa.string()) for c in columns for name in (c, f"clean_{c}")]
    fields = [*texts, ("label", pa.int64()), ("row", pa.int64()), ("attack", pa.string())]
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.schema(fields)), path)
