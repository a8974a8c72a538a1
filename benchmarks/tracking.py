"""What tracking costs a search: the driver's time for each report, and how late MLflow has it.

    python benchmarks/tracking.py                          # 200 trials of 30 reports, 8 at a time
    python benchmarks/tracking.py --trials 50 --reports 10

The same story is told three times to each of two stores, the study's own SQLite file and an
`mlflow server` on the loopback (itself on SQLite):

    ours, at once   by `Tracker`, as fast as the driver can
    ours, paced     by `Tracker`, at `--rate` reports a second, as a busy cluster might
    direct          by `MlflowClient.log_batch`, waiting for each answer, as callbacks do;
                    of a tenth of the trials

`driver` is the time for which a call holds the driver's thread; `lag` is from the call until the
store has it: for us from a report to the mark in the outbox that covers it, and for all of it from
the last call. A report has six metrics: four of a rung and two losses.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from tune_distill.folder import StudyFolder
from tune_distill.outcome import Interval, Outcome
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Params
from tune_distill.track import Tracker
from tune_distill.track.writer import quiet_client

SIDE_BY_SIDE = 8  # trials
COLUMNS = (
    *("store", "told", "trials x reports"),
    *("driver ms a report, mean", "99 %", "driver ms an end, mean"),
    *("lag of a report s, median", "most", "all told in s", "all written after s"),
)
LOOK = 0.02  # seconds between two looks at what has arrived


@dataclass
class Timed:
    """Seconds of one telling."""

    reports: list[float] = field(default_factory=list)  # on the driver
    ends: list[float] = field(default_factory=list)  # the same, of trials that end
    lags: list[float] = field(default_factory=list)  # of reports; empty where each is waited for
    wall: float = 0.0  # of telling all
    late: float = 0.0  # from the last call until all has arrived


@dataclass(frozen=True)
class Story:
    """A search in which nothing takes time."""

    trials: int
    reports: int
    rate: float = float("inf")  # reports a second

    def steps(self) -> Iterator[tuple[str, int, int]]:
        """(started, reported or ended, trial, epoch): trials run side by side, in groups."""
        for first in range(0, self.trials, SIDE_BY_SIDE):
            group = range(first, min(first + SIDE_BY_SIDE, self.trials))
            yield from (("started", number, 0) for number in group)
            for epoch in range(1, self.reports + 1):
                yield from (("reported", number, epoch) for number in group)
            yield from (("ended", number, 0) for number in group)

    def tell(self, calls: dict[str, Callable[[int, int], None]], timed: Timed) -> None:
        """Makes the calls, and times them."""
        began, told = time.perf_counter(), 0
        for kind, number, epoch in self.steps():
            if kind == "reported":
                told += 1
                time.sleep(max(0.0, began + told / self.rate - time.perf_counter()))
            at = time.perf_counter()
            calls[kind](number, epoch)
            seconds = time.perf_counter() - at
            if kind == "reported":
                timed.reports.append(seconds)
            elif kind == "ended":
                timed.ends.append(seconds)
        timed.wall = time.perf_counter() - began


def drawn(number: int) -> Params:
    """A trial's parameters: as many as a study of `kd` has."""
    knobs = ("layers", "hidden_size", "heads", "init", "init_width", "dropout", "vocab")
    student = {f"student.{knob}": number for knob in knobs}
    return {"method": "kd", "method.kd.alpha": 0.5, "train.seed": number, **student}


def rung(number: int, epoch: int) -> Rung:
    """A report."""
    losses = {"soft": 1 / epoch, "total": 2 / epoch}
    return Rung(epoch, 100 * epoch, 0.5 + epoch / 1000 + number / 1e6, losses, float(epoch), 0.4)


def record(story: Story, number: int) -> TrialRecord:
    """How a trial ended."""
    rungs = tuple(rung(number, epoch) for epoch in range(1, story.reports + 1))
    outcome = Outcome(0.8, 20.0, 5, 7.0, 0.3, intervals={"accuracy": Interval(0.7, 0.9)})
    return TrialRecord(number, "complete", drawn(number), outcome, rungs, seconds=60.0)


def ours(story: Story, folder: Path, uri: str | None) -> Timed:
    """Told to a `Tracker`."""
    timed, study = Timed(), StudyFolder(folder)
    folder.mkdir(parents=True)
    tracker = Tracker(study, folder.name, uri)
    tracker.study()
    marks = _Marks(folder / "outbox")
    marks.wait(0)  # the store is there: making one is no part of this

    def reported(number: int, epoch: int) -> None:
        tracker.reported(number, rung(number, epoch))
        marks.told()

    calls: dict[str, Callable[[int, int], None]] = {
        "started": lambda number, _: tracker.started(number, drawn(number)),
        "reported": reported,
        "ended": lambda number, _: tracker.ended(record(story, number)),
    }
    story.tell(calls, timed)
    last = time.perf_counter()
    marks.wait((folder / "outbox/changes.jsonl").stat().st_size)
    timed.late, timed.lags = time.perf_counter() - last, marks.lags()
    tracker.finish()
    if tracker.close(timeout=120):
        raise RuntimeError("not all has arrived")
    return timed


class _Marks:
    """When each report was told, and when the outbox's mark passed it."""

    def __init__(self, outbox: Path) -> None:
        self._outbox, self._file = outbox, outbox / "changes.jsonl"
        self._told: list[tuple[int, float]] = []  # size of the outbox, and when
        self._arrived: list[tuple[int, float]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def told(self) -> None:
        """A report is in the outbox; the look at its size is a microsecond of the driver's."""
        self._told.append((self._file.stat().st_size, time.perf_counter()))

    def wait(self, size: int) -> None:
        """Until so many bytes have arrived."""
        while not self._arrived or self._arrived[-1][0] < size:
            time.sleep(LOOK)

    def lags(self) -> list[float]:
        """Seconds of each report."""
        self._done.set()
        self._thread.join()
        sizes, times = np.array(self._arrived).T
        told, at = np.array(self._told).T
        return list(times[np.searchsorted(sizes, told)] - at)

    def _watch(self) -> None:
        while not self._done.wait(LOOK):
            for file in self._outbox.glob("sent-*.json"):
                offset = json.loads(file.read_text())["offset"]
                if not self._arrived or offset > self._arrived[-1][0]:
                    self._arrived.append((offset, time.perf_counter()))


def direct(story: Story, folder: Path, uri: str | None) -> Timed:
    """Told to MLflow's client, each call waited for."""
    timed = Timed()
    folder.mkdir(parents=True)
    client = MlflowClient(uri or f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment(folder.name, folder.as_uri())
    runs: dict[int, str] = {}

    def log(number: int, values: dict[str, float], step: int) -> None:
        now = round(time.time() * 1000)
        client.log_batch(runs[number], [Metric(k, v, now, step) for k, v in values.items()])

    def started(number: int, _: int) -> None:
        runs[number] = client.create_run(experiment).info.run_id
        client.log_batch(runs[number], params=[Param(k, str(v)) for k, v in drawn(number).items()])

    def reported(number: int, epoch: int) -> None:
        one = rung(number, epoch)
        values = {"accuracy": one.accuracy, "updates": one.updates, "guard": 0.4, **one.losses}
        log(number, {**values, "seconds": one.seconds}, epoch)

    def ended(number: int, _: int) -> None:
        log(number, {"accuracy": 0.8, "size_mb": 20.0, "robust_worst": 0.3}, 0)
        client.set_terminated(runs[number])

    story.tell({"started": started, "reported": reported, "ended": ended}, timed)
    return timed


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A tracking server on a free port; its URI."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri, folder = f"http://127.0.0.1:{port}", folder / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += ["--artifacts-destination", str(folder / "files")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while not _healthy(uri):
            if process.poll() is not None:
                raise RuntimeError((folder / "log").read_text())
            time.sleep(0.2)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _healthy(uri: str) -> bool:
    try:
        urllib.request.urlopen(f"{uri}/health", timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def row(store: str, how: str, story: Story, timed: Timed) -> str:
    """A line of the table; milliseconds on the driver, seconds elsewhere."""
    mean, most = 1000 * np.mean(timed.reports), 1000 * np.quantile(timed.reports, 0.99)
    end = 1000 * np.mean(timed.ends)
    lag = f"{np.median(timed.lags):.2f} | {np.max(timed.lags):.2f}" if timed.lags else "0 | 0"
    cells = f"{story.trials} x {story.reports} | {mean:.3f} | {most:.3f} | {end:.3f}"
    return f"| {store} | {how} | {cells} | {lag} | {timed.wall:.1f} | {timed.late:.1f} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--reports", type=int, default=30)
    parser.add_argument("--rate", type=float, default=50.0, help="reports a second, when paced")
    asked = parser.parse_args()
    whole = Story(asked.trials, asked.reports)
    few = max(SIDE_BY_SIDE, asked.trials // 10)
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as name, quiet_client(), server(Path(name)) as uri:
        for store, where in (("SQLite", None), ("server", uri)):
            for how, story, way in (
                ("ours, at once", whole, ours),
                ("ours, paced", Story(4 * few, asked.reports // 2, asked.rate), ours),
                ("direct", Story(few, asked.reports), direct),
            ):
                folder = Path(name) / f"{store} {how}".replace(",", "").replace(" ", "-")
                print(row(store, how, story, way(story, folder, where)), flush=True)


if __name__ == "__main__":
    main()
