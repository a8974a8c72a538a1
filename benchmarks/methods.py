"""Every method, initialisation and vocabulary on one task, with equal budgets.

    python benchmarks/methods.py --set teacher.model=PATH --set task.dataset=glue/sst2

Each method runs at four settings on the training rows; the best on the search split runs again on
three fresh seeds, which alone are read on the held-out split. All students start from their
teacher's layers, but for the rows that say otherwise, and have the same updates. What has run is
kept in `--storage`, one line a run: the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tune_distill import reading, trial
from tune_distill.inputs import Inputs
from tune_distill.measure.accuracy import accuracy
from tune_distill.prepare import prepare
from tune_distill.spec import TrialConfig, resolve
from tune_distill.spec.load import override
from tune_distill.tasks import open_prepared
from tune_distill.teacher import load as load_teacher

STUDENTS = {
    "2/128": {"layers": 2, "hidden_size": 128, "heads": 4},
    "3/192": {"layers": 3, "hidden_size": 192, "heads": 12},
}
LOW, HIGH = 2e-4, 5e-4  # learning rates
SOFT = [{"temperature": t, "learning_rate": lr} for t in (2.0, 8.0) for lr in (LOW, HIGH)]


def _with(values: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Two values of one knob at both learning rates."""
    ((knob, options),) = values.items()
    return [{knob: value, "learning_rate": lr} for value in options for lr in (LOW, HIGH)]


# Four settings a method: two learning rates and two values of its own knob.
METHODS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "finetune, random": ("finetune", [{"learning_rate": lr} for lr in (LOW, HIGH, 1e-3, 2e-3)]),
    "finetune": ("finetune", [{"learning_rate": lr} for lr in (1e-4, LOW, HIGH, 1e-3)]),
    "kd": ("kd", SOFT),
    "kd, mse": ("kd", [{"match": "mse", **s} for s in _with({"alpha": [0.5, 0.9]})]),
    "truncated_kd": ("truncated_kd", [{"classes": 1, **s} for s in SOFT]),
    "pkd": ("pkd", _with({"beta": [10.0, 100.0]})),
    "distilbert": ("distilbert", _with({"beta": [1.0, 10.0]})),
    "tinybert": ("tinybert", _with({"intermediate": [0.3, 0.6]})),
    "minilm": ("minilm", _with({"beta": [0.3, 3.0]})),
    "minilm2": ("minilm2", _with({"beta": [0.3, 3.0]})),
    "lad": ("lad", _with({"beta": [10.0, 1000.0]})),
}
STARTS = {
    "random": {"init": "random"},
    "first, project": {"init": "first"},
    "last, project": {"init": "last"},
    "uniform, slice": {"init_width": "slice"},
    "uniform, project": {},
}
VOCABULARIES: dict[str, int | str] = {"1,000": 1000, "4,000": 4000, "12,000": 12000, "full": "full"}


@dataclasses.dataclass(frozen=True)
class Row:
    """One run: a row of a table, a setting of it, a seed."""

    table: str
    name: str
    student: str
    params: tuple[tuple[str, Any], ...]

    @property
    def key(self) -> str:
        """A name for its folder."""
        return hashlib.sha256(repr(self.params).encode()).hexdigest()[:16]


def row(
    table: str,
    name: str,
    student: str,
    method: str,
    setting: Mapping[str, Any],
    epochs: int,
    seed: int,
    **knobs: Any,  # noqa: ANN401 - of the student
) -> Row:
    """The run of a setting."""
    params: dict[str, Any] = {f"student.{k}": v for k, v in {**STUDENTS[student], **knobs}.items()}
    params["method"] = method
    for knob, value in setting.items():
        group = "train" if knob == "learning_rate" else f"method.{method}"
        params[f"{group}.{knob}"] = value
    params |= {"train.epochs": epochs, "train.seed": seed}
    return Row(table, name, student, tuple(sorted(params.items(), key=lambda item: item[0])))


def work(document: dict[str, Any], inputs: Inputs, one: Row, storage: Path) -> dict[str, Any]:
    """Trains a run's student; its scores on the search and the held-out split."""
    folder = storage / "runs" / one.key
    folder.mkdir(parents=True, exist_ok=True)
    rungs: list[float] = []
    outcome = trial.run(
        resolve(document),
        dict(one.params),
        inputs,
        folder,
        lambda rung: rungs.append(rung.accuracy),
    )
    config = TrialConfig.from_params(dict(one.params))
    task = open_prepared(reading.find(inputs.readings, config.student).task)  # in its own tokens
    student = load_teacher(folder / "student")
    heldout = accuracy(student, task.heldout, task.metric, "cpu").score
    shutil.rmtree(folder)
    return {
        "key": one.key,
        "name": one.name,
        "params": dict(one.params),
        "search": outcome.accuracy,
        "heldout": heldout,
        "size_mb": outcome.size_mb,
    }


class Bench:
    """The runs of one study, remembered."""

    def __init__(
        self, document: dict[str, Any], inputs: Inputs, storage: Path, workers: int
    ) -> None:
        self.document, self.inputs, self.storage = document, inputs, storage
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(workers, mp_context=context)
        self.file = storage / "results.jsonl"
        lines = self.file.read_text().splitlines() if self.file.is_file() else []
        self.known = {result["key"]: result for result in map(json.loads, lines)}

    def run(self, rows: list[Row]) -> list[dict[str, Any]]:
        """The results of runs, in their order; those that are known cost nothing."""
        new = {one.key: one for one in rows if one.key not in self.known}
        waiting = [
            self.pool.submit(work, self.document, self.inputs, one, self.storage)
            for one in new.values()
        ]
        for done in as_completed(waiting):
            result = done.result()
            self.known[result["key"]] = result
            with self.file.open("a") as file:
                file.write(json.dumps(result) + "\n")
            line = f"{result['search']:.4f} {result['heldout']:.4f} {result['params']}"
            print(result["name"], line, file=sys.stderr)
        return [self.known[one.key] for one in rows]


def methods(bench: Bench, student: str, epochs: int, seeds: int) -> Iterator[tuple[str, Any]]:
    """Each method at its best setting: (its name and setting, its runs on fresh seeds)."""
    tried: list[tuple[str, str, dict[str, Any], Row]] = []
    for name, (method, settings) in METHODS.items():
        if method in ("tinybert", "minilm") and STUDENTS[student]["heads"] != 12:
            continue  # these need their teacher's number of heads
        start = {"init": "random"} if name.endswith("random") else {}
        tried += [
            (name, method, s, row("methods", name, student, method, s, epochs, 0, **start))
            for s in settings
        ]
    first = bench.run([one for *_, one in tried])
    best: dict[str, tuple[float, str, dict[str, Any]]] = {}
    for (name, method, setting, _), result in zip(tried, first, strict=True):
        best[name] = max(
            best.get(name, (-1.0, "", {})), (result["search"], method, setting), key=lambda b: b[0]
        )
    again = {
        name: [
            row("methods", name, student, method, setting, epochs, seed)
            if not name.endswith("random")
            else row("methods", name, student, method, setting, epochs, seed, init="random")
            for seed in range(1, seeds + 1)
        ]
        for name, (_, method, setting) in best.items()
    }
    bench.run([one for rows in again.values() for one in rows])
    for name, rows in again.items():
        shown = ", ".join(
            f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in best[name][2].items()
        )
        yield f"{name} | {shown}", bench.run(rows)


def variants(
    bench: Bench, table: str, student: str, cases: Mapping[str, Any], epochs: int, seeds: int
) -> Iterator[tuple[str, Any]]:
    """Logit distillation from other starts, or in other vocabularies."""
    setting = {"temperature": 2.0, "learning_rate": HIGH}
    rows = {
        f"{name} |": [
            row(table, name, student, "kd", setting, epochs, seed, **knobs)
            for seed in range(1, seeds + 1)
        ]
        for name, knobs in cases.items()
    }
    bench.run([one for some in rows.values() for one in some])
    for name, some in rows.items():
        yield name, bench.run(some)


def show(title: str, found: Iterator[tuple[str, Any]]) -> None:
    """A table in Markdown: mean and standard deviation over the seeds."""
    print(f"\n{title}\n\n| | setting | search | held-out | MB |\n|---|---|---|---|---|")
    for name, results in found:
        cells = []
        for split in ("search", "heldout"):
            scores = [100 * result[split] for result in results]
            cells.append(f"{statistics.mean(scores):.1f} ± {statistics.stdev(scores):.1f}")
        print(f"| {name} | {' | '.join(cells)} | {results[0]['size_mb']:.1f} |", flush=True)


def main() -> None:
    """Runs the tables asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/methods-benchmark"))
    parser.add_argument("--tables", nargs="+", default=["methods", "starts", "vocabularies"])
    parser.add_argument("--students", nargs="+", default=list(STUDENTS))
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    document: dict[str, Any] = {
        "name": "methods",
        "task": {"max_train_rows": 20000},
        "teacher": {},
        "space": {
            "student": {"layers": [2, 3], "hidden_size": [128, 192], "heads": [4, 12]},
            "method": [
                *("finetune", "kd", "pkd", "distilbert", "tinybert", "minilm", "minilm2", "lad")
            ],
        },
        "objectives": {"accuracy": {"goal": "max", "reference": 0.5}},
    }
    if "vocabularies" in arguments.tables:
        document = override(document, [f"space.student.vocab={[*VOCABULARIES.values()]}"])
    document = override(document, arguments.set)
    inputs = prepare(
        resolve(document), arguments.storage / "cache", lambda line: print(line, file=sys.stderr)
    )
    bench = Bench(document, inputs, arguments.storage, arguments.workers)
    budget = (arguments.epochs, arguments.seeds)
    for student in arguments.students:
        if "methods" in arguments.tables:
            show(f"Methods, {student}", methods(bench, student, *budget))
        if "starts" in arguments.tables:
            show(f"Starts, {student}", variants(bench, "starts", student, STARTS, *budget))
        if "vocabularies" in arguments.tables:
            cases = {name: {"vocab": size} for name, size in VOCABULARIES.items()}
            show(f"Vocabularies, {student}", variants(bench, "vocab", student, cases, *budget))


if __name__ == "__main__":
    main()
