r"""How fast attacks run, beside TextAttack on the same model, rows, constraints and order.

    python benchmarks/attack.py MODEL... --rows ROWS.parquet --text sentence --limit 200 \
        --table near.parquet --wordnet DICT [--textattack PYTHON] [--threads 2] [--clock wall]

PYTHON is an interpreter that can import TextAttack (`textattack_side.py` says how to get one);
without it ours alone is timed. Both run without a budget, in TextAttack's own orders. Letters are
edited by each engine's own edits, words become the same candidates of both. Engines take turns, and
the median turn counts:

    ours        this package
    mended      TextAttack, padded to the longest text of a query
    shipped     TextAttack as it is: padded to the tokenizer's maximum

`--clock cpu` counts processor time, for machines that are busy with other things. The last engine
is timed on `--shipped` rows, since it is slow and each of its queries costs the same: its
examples per second are its queries per second there over the queries an example of all rows. Rates
of success (flipped, of those that were right) are with Wilson intervals. Prints a table; `--json`
adds a line of JSON a recipe.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import beside
import torch
from parity import chosen

from tune_distill import teacher
from tune_distill.robustness import Attack, neighbours
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.opened import Opened
from tune_distill.statistics import wilson
from tune_distill.teacher.suit import own_names

Clock = Literal["wall", "cpu"]
WARM_UP = 10  # rows
OWN_EDITS = ("char", "pruthi")  # of which TextAttack makes its own
HEADER = (
    *("model", "attack", "ours", "mended", "shipped", "ours / mended", "ours / shipped"),
    *("success, ours", "success, TextAttack", "queries, ours", "queries, TextAttack"),
)


@dataclass(frozen=True)
class Turns:
    """An engine's turns at one attack."""

    runs: list[beside.Outcomes]
    per_example: float  # queries, over all the rows

    def rate(self, clock: Clock) -> float:
        """Examples a second: by queries, so that fewer rows will do."""
        seconds = median(r.seconds if clock == "wall" else r.cpu_seconds for r in self.runs)
        return float(self.runs[0].queries.sum() / seconds / self.per_example)

    @property
    def success(self) -> str:
        """The share flipped of those that were right, and its interval."""
        outcomes = self.runs[0].outcomes
        flipped = int((outcomes == RowOutcome.FLIPPED).sum())
        right = int((outcomes != RowOutcome.WRONG).sum())
        found = wilson(flipped, right)
        return f"{flipped / right:.3f} [{found.low:.3f}, {found.high:.3f}]"

    @property
    def queries(self) -> str:
        """The mean of the rows that were attacked."""
        run = self.runs[0]
        return f"{run.queries[run.outcomes != RowOutcome.WRONG].mean():.1f}"


def timed(
    attack: Attack,
    rows: beside.Rows,
    subject: beside.Subject,
    resources: Opened,
    textattack: beside.TextAttack | None,
    given: argparse.Namespace,
) -> dict[str, Turns]:
    """Each engine's turns at one attack, one engine after the other in each turn."""
    runs: dict[str, list[beside.Outcomes]] = {}
    edits = "theirs" if attack.name in OWN_EDITS else "ours"
    counts = {"ours": len(rows), "mended": len(rows), "shipped": given.shipped}
    for _ in range(given.turns):
        for name, count in counts.items():
            if not count or (name != "ours" and textattack is None):
                continue
            # The first is to wake an engine that sat through the others' turns, and isn't timed.
            for taken in (rows.first(min(WARM_UP, count)), rows.first(count)):
                found = (
                    textattack.outcomes(attack, taken, resources, padding=name, edits=edits)
                    if textattack is not None and name != "ours"
                    else beside.ours(attack, taken, subject, resources, device=given.device)
                )
            runs.setdefault(name, []).append(found)
    whole = {"shipped": "mended"}  # whose queries are counted: all the rows', not the first few's
    return {
        name: Turns(own, float(runs[whole.get(name, name)][0].queries.mean()))
        for name, own in runs.items()
    }


def line(model: str, attack: Attack, turns: dict[str, Turns], clock: Clock) -> dict[str, str]:
    """One row of the table."""
    rates = {name: own.rate(clock) for name, own in turns.items()}
    ours, mended = turns["ours"], turns.get("mended")
    shown = {name: f"{rate:.2f}" for name, rate in rates.items()}
    return {
        **dict.fromkeys(HEADER, "-"),
        "model": model,
        "attack": f"{attack.name}, {attack.search if attack.search == 'full' else attack.order}",
        **shown,
        **{f"ours / {name}": f"{rates['ours'] / rates[name]:.1f}" for name in rates},
        "success, ours": ours.success,
        "success, TextAttack": mended.success if mended else "-",
        "queries, ours": ours.queries,
        "queries, TextAttack": mended.queries if mended else "-",
    }


def main() -> None:
    """Reads the arguments, times every pair of model and recipe, prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path, help="folders of sequence classifiers")
    parser.add_argument("--rows", type=Path, required=True, help="parquet, CSV, TSV or JSON lines")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--recipes", nargs="+", default=["char", "table"])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--wordnet", type=Path)
    parser.add_argument("--textattack", help="an interpreter that can import it")
    parser.add_argument("--shipped", type=int, default=10, help="rows of TextAttack as shipped")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: a busy machine"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    resources = Opened(
        table=neighbours.read(given.table, "--table") if given.table else None,
        wordnet=neighbours.read(given.wordnet, "--wordnet") if given.wordnet else None,
    )
    print(f"examples a second by {given.clock} time, {given.threads} threads, {given.limit} rows\n")
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for path in given.models:
        subject = beside.Subject(teacher.load(path), teacher.load_tokenizer(path))
        torch.nn.Module.to(subject.model, given.device)
        names = own_names(subject.model)
        rows, _ = chosen(given.rows, given.text, given.label, names, given.limit)
        with ExitStack() as stack:
            textattack = given.textattack and stack.enter_context(
                beside.TextAttack(
                    given.textattack, path, threads=given.threads, device=given.device
                )
            )
            for name in given.recipes:
                attack = beside.recipe(*name.split(":"))
                turns = timed(attack, rows, subject, resources, textattack or None, given)
                found = line(path.name, attack, turns, given.clock)
                print("| " + " | ".join(found[column] for column in HEADER) + " |", flush=True)
                if given.json:
                    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
