"""A search beside the script that a competent user writes in an afternoon (`script.py`).

    python benchmarks/search_vs_script.py --set teacher.model=PATH --set task.dataset=glue/sst2

The same grid of students (--layers x --widths), from random weights, taught by the same teacher's
logits on the same rows with the same learning rate, schedule, batch size, clipping, decay and
epochs, so many updates; two trials side by side, a core each. Each side is one command in a process
of its own, timed from start to end:

    cold      `tune-distill search` in an empty folder: splits and tokenises the rows, checks the
              teacher, caches its signals, measures it; then the trials
    warm      the same search under another name, with that cache
    script    Ray Tune, Trainer with the teacher in compute_loss, DataCollatorWithPadding, Tune's
              MLflowLoggerCallback; its rows are split already, and tokenised once

Ours also records intervals and loyalty, saves each student, and keeps what a resume needs; the
script measures accuracy alone, and saves nothing. `--sides` leaves some out. The script needs
accelerate. Prints two tables.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tune_distill import tasks
from tune_distill.folder import StudyFolder
from tune_distill.methods.kd import KD
from tune_distill.prepare import prepare_teacher
from tune_distill.spec import resolve
from tune_distill.spec.load import override

SCRIPT = Path(__file__).with_name("script.py")
HEADER = ("side", "seconds", "trials an hour", "times the script's", "seconds a trial, median")


@dataclass(frozen=True)
class Side:
    """One command's run."""

    seconds: float
    trials: list[dict[str, Any]]


def document(given: argparse.Namespace) -> dict[str, Any]:
    """The study."""
    train = {"learning_rate": given.learning_rate, "epochs": given.epochs, "seed": given.seed}
    student = {"layers": given.layers, "hidden_size": given.widths, "heads": 4, "init": "random"}
    trials = len(given.layers) * len(given.widths)
    study: dict[str, Any] = {
        "name": "cold",
        "task": {"max_train_rows": given.rows},
        "teacher": {},
        "space": {"student": student, "method": ["kd"], "train": {**train, "warmup": 0.1}},
        "objectives": {
            "accuracy": {"goal": "max", "reference": 0.5},
            "size_mb": {"goal": "min", "reference": 100.0},
        },
        "search": {"trials": trials, "sampler": "random"},
        "resources": {"concurrent": 2},
    }
    return override(study, given.set)


def searched(study: dict[str, Any], name: str, storage: Path) -> Side:
    """A search."""
    file = storage / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**study, "name": name}))
    command = [sys.executable, "-m", "tune_distill", "search", str(file), "--storage", str(storage)]
    seconds, _ = timed(command, storage / f"{name}.log")
    records = StudyFolder(storage / name).records()
    found = [
        {
            "student": f"{r.params['student.layers']}/{r.params['student.hidden_size']}",
            "accuracy": r.outcome.accuracy if r.outcome else float("nan"),
            "updates": r.rungs[-1].updates if r.rungs else 0,
            "seconds": r.seconds,
        }
        for r in records
    ]
    return Side(seconds, found)


def scripted(study: dict[str, Any], given: argparse.Namespace, storage: Path) -> Side:
    """The script."""
    found = prepare_teacher(resolve(study), storage / "cache", lambda _: None)
    for split in ("train", "search"):
        _written(found.task, split, storage / f"{split}.parquet")
    method = KD()
    command = [
        *(sys.executable, str(SCRIPT), "--teacher", str(found.folder)),
        *("--train", str(storage / "train.parquet")),
        *("--validation", str(storage / "search.parquet"), "--storage", str(storage / "script")),
        *("--layers", *map(str, given.layers), "--widths", *map(str, given.widths)),
        *("--epochs", str(given.epochs), "--learning-rate", str(given.learning_rate)),
        *("--temperature", str(method.temperature), "--alpha", str(method.alpha)),
        *("--max-length", str(found.task.max_length), "--seed", str(given.seed)),
    ]
    command += ["--bf16"] if given.bf16 else []
    seconds, printed = timed(command, storage / "script.log")
    return Side(seconds, json.loads(printed.splitlines()[-1]))


def timed(command: list[str], log: Path) -> tuple[float, str]:
    """Seconds of a command, and what it printed."""
    began = time.perf_counter()
    with log.open("w") as file:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{log.read_text()[-3000:]}")
    return time.perf_counter() - began, done.stdout


def _written(task: tasks.Prepared, split: str, file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = task.rows(split)
    (texts,) = rows.texts
    parquet.write_table(pa.table({"text": texts, "label": rows.labels}), file)


def show(sides: dict[str, Side]) -> None:
    """Both tables, in Markdown."""
    base = sides.get("script", Side(math.nan, []))
    print(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|")
    for name, side in sides.items():
        each = statistics.median(trial["seconds"] for trial in side.trials)
        per_hour = 3600 * len(side.trials) / side.seconds
        times = base.seconds / side.seconds
        cells = [f"{side.seconds:.1f}", f"{per_hour:.0f}", f"{times:.2f}", f"{each:.1f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    found = {
        name: {trial["student"]: trial for trial in side.trials} for name, side in sides.items()
    }
    print(f"\n| student | updates | {' | '.join(found)} |\n{'|---' * (len(found) + 2)}|")
    for student in sorted(next(iter(found.values()))):
        updates = {side[student]["updates"] for side in found.values()}
        scores = " | ".join(f"{side[student]['accuracy']:.3f}" for side in found.values())
        print(f"| {student} | {', '.join(map(str, sorted(updates)))} | {scores} |")
    means = [statistics.mean(t["accuracy"] for t in side.values()) for side in found.values()]
    print(f"| mean | | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def main() -> None:
    """Reads the arguments, runs the sides one after the other, prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/script-benchmark"))
    parser.add_argument("--rows", type=int, default=8000, help="of train, at most")
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 192, 256])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1, help="of the trainings")
    parser.add_argument("--bf16", action="store_true", help="the script in mixed precision, too")
    parser.add_argument(
        "--sides", nargs="+", choices=("cold", "warm", "script"), default=["cold", "warm", "script"]
    )
    given = parser.parse_args()
    storage = given.storage.resolve()
    if "cold" in given.sides:
        shutil.rmtree(storage, ignore_errors=True)
    storage.mkdir(parents=True, exist_ok=True)
    study, sides = document(given), {}
    for side in given.sides:
        sides[side] = (
            scripted(study, given, storage) if side == "script" else searched(study, side, storage)
        )
        print(f"{side}: {sides[side].seconds:.1f} s", file=sys.stderr)
    show(sides)


if __name__ == "__main__":
    main()
