"""What the search itself costs: Tune, searcher, scheduler, front and MLflow, trials doing nothing.

    python benchmarks/overhead.py --trials 5000

One search whose trials report eight rungs each and end at once. The driver's processor time (all
its threads: Tune, Ray's, MLflow's), the time of single steps, and its memory are read at each trial
that ends; the table has means over the tenth of the trials before each mark. Then the same with
parts left out: `--sampler random`, `--no-mlflow`.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from common import table
from ray import cloudpickle

from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.launch.listeners import Listener
from tune_distill.launch.publish import Publisher
from tune_distill.launch.search import search
from tune_distill.launch.standing import Standing
from tune_distill.outcome import Outcome
from tune_distill.record import Rung, TrialRecord
from tune_distill.searcher import AskTell
from tune_distill.space import Params
from tune_distill.spec import StudySpec, resolve
from tune_distill.track import Tracker

DOCUMENT: dict[str, Any] = {
    "name": "overhead",
    "task": {"builtin": "reviews"},
    "teacher": {"builtin": "small"},
    "space": {
        "student": {
            "layers": {"int": [1, 6]},
            "hidden_size": [128, 192, 256, 312, 384],
            "heads": [2, 4, 6, 8, 12],
            "intermediate_ratio": [2.0, 4.0],
            "init": ["uniform", "first", "last"],
            "init_width": ["project", "slice"],
        },
        "method": {
            "finetune": {},
            "kd": {"temperature": {"log": [1.0, 20.0]}, "alpha": {"uniform": [0.2, 1.0]}},
        },
        "train": {"learning_rate": {"log": [5.0e-5, 1.0e-3]}, "epochs": 8},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.5},
        "size_mb": {"goal": "min", "reference": 100.0},
    },
}
RUNGS = 8
PAGE = os.sysconf("SC_PAGE_SIZE")


def run(
    spec: StudySpec,
    params: Params,
    inputs: None,
    folder: Path,
    report: Callable[[Rung], None],
    *,
    threads: int,
    device: str,
) -> Outcome:
    """A trial that learns nothing: better with size, and noisy."""
    size = known(params)["size_mb"]
    noise = random.Random(json.dumps(params, sort_keys=True)).gauss(0.0, 0.02)
    final = 0.6 + 0.3 * size / (size + 5) + noise
    rungs = []
    for epoch in range(1, RUNGS + 1):
        accuracy = final - 0.1 / epoch
        rungs.append(Rung(epoch, 100 * epoch, accuracy, {"total": 1 / epoch}, seconds=1.0 * epoch))
        report(rungs[-1])
    write_atomically(folder / "rungs.json", json.dumps([asdict(rung) for rung in rungs]))
    return Outcome(accuracy=final, size_mb=size, parameters=int(size * 1e5), flops=size * 1e6)


def known(params: Params) -> dict[str, float]:
    """What a trial measures whatever it learns."""
    size = float(params["student.layers"] or 1) * float(params["student.hidden_size"] or 1) / 100
    return {"size_mb": size, "parameters": int(size * 1e5), "flops": size * 1e6}


def read_rungs(folder: Path) -> tuple[Rung, ...]:
    """What `run` reported."""
    file = folder / "rungs.json"
    return tuple(Rung(**row) for row in json.loads(file.read_text())) if file.exists() else ()


@dataclass(frozen=True)
class Sample:
    """The driver, when a trial has ended."""

    wall: float  # seconds
    processor: float  # seconds, of all threads
    memory: float  # MB, resident


class Clock:
    """A listener that reads the driver's clocks, and times single steps of its."""

    def __init__(self) -> None:
        self.samples = [self._now()]
        self.steps: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)

    def timed(self, owner: type, method: str, name: str) -> None:
        """Notes how long each call of a method takes, and after how many trials."""
        whole = getattr(owner, method)

        @functools.wraps(whole)
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            began = time.perf_counter()
            try:
                return whole(*args, **kwargs)
            finally:
                self.steps[name].append((len(self.samples) - 1, time.perf_counter() - began))

        setattr(owner, method, call)

    def started(self, number: int, params: Params) -> None:
        """Nothing."""

    def reported(self, number: int, rung: Rung) -> None:
        """Nothing."""

    def ended(self, record: TrialRecord) -> None:
        """Reads the clocks."""
        self.samples.append(self._now())

    def front(self, now: Standing) -> None:
        """Nothing."""

    def between(self, first: int, last: int) -> list[float]:
        """Of the trials from one to another: ms of each kind a trial, then MB at the end."""
        a, b, count = self.samples[first], self.samples[last], last - first
        found = [1e3 * (b.processor - a.processor) / count, 1e3 * (b.wall - a.wall) / count]
        for calls in self.steps.values():
            found.append(1e3 * sum(s for at, s in calls if first <= at < last) / count)
        return [*found, b.memory]

    @staticmethod
    def _now() -> Sample:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Sample(time.perf_counter(), time.process_time(), pages * PAGE / 1e6)


@contextmanager
def listeners(
    folder: StudyFolder, spec: StudySpec, clock: Clock, mlflow: bool
) -> Iterator[Sequence[Listener]]:
    """As a search of the command line has them, less its display."""
    if not mlflow:
        yield (clock,)
        return
    with Tracker(folder, spec.name) as tracker:
        tracker.study(artifacts={"study.yaml": folder.study})
        folder.write_teacher(Outcome(0.93, size_mb=100.0, parameters=25_000_000, flops=1e9))
        with Publisher(spec, folder, tracker, "tune-distill export overhead") as publisher:
            yield (publisher, clock)


def main() -> None:
    """Runs one search and prints a row at each mark, in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--marks", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--concurrent", type=int, default=2)
    parser.add_argument("--no-mlflow", dest="mlflow", action="store_false")
    arguments = parser.parse_args()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    document = DOCUMENT | {"search": {"trials": arguments.trials, "sampler": arguments.sampler}}
    document["resources"] = {"concurrent": arguments.concurrent}
    spec, clock = resolve(document), Clock()
    clock.timed(AskTell, "suggest", "ask ms")
    clock.timed(AskTell, "_tell", "tell ms")
    clock.timed(Publisher, "front", "front's files ms")
    storage = Path(tempfile.mkdtemp(prefix="overhead"))
    try:
        search(
            spec,
            document,
            storage,
            prepare=lambda _spec, _cache, _say: None,
            run=run,
            read_rungs=read_rungs,
            known=lambda _inputs, params: known(params),
            listen=lambda folder, _: listeners(folder, spec, clock, arguments.mlflow),
            num_cpus=arguments.concurrent,
        )
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    columns = ["trials", "driver's CPU ms a trial", "a report", "wall ms a trial", *clock.steps]
    rows = []
    for mark in [mark for mark in arguments.marks if mark <= arguments.trials]:
        processor, *rest = clock.between(mark - max(50, mark // 10), mark)
        cells = [processor, processor / (RUNGS + 1), *rest]
        rows.append([mark, *(f"{cell:.1f}" for cell in cells)])
    table([*columns, "memory MB"], rows)


if __name__ == "__main__":
    main()
