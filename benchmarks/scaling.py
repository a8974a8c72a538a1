"""Does the search keep a cluster busy? Trials that sleep as long as recorded ones took.

    python benchmarks/scaling.py --clusters 1x1 1x2 1x8 4x8 16x8

Simulated clusters (nodes x slots; `ray.cluster_utils`, all nodes on this machine), one search on
each, of several trials a slot, whose durations are those of `curves.parquet`'s trainings in turn.
The first ones wait for each other, since 128 workers that start on one machine's few cores say
nothing of a cluster's; from then to the moment that no trial is left to hand out, efficiency is the
share of the slots' time in which trials slept. What is missing is the orchestration's: between a
trial's end and the next one's begin, and in reports. The driver's processor time is that of all its
threads.

Memory: a worker takes about 120 MB, and a node's own processes as much: 20 GB for 16 x 8.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from common import table
from numpy.typing import NDArray
from overhead import DOCUMENT, Clock, read_rungs
from ray import cloudpickle

from tune_distill.files import write_atomically
from tune_distill.launch.search import search
from tune_distill.outcome import Outcome
from tune_distill.record import Rung
from tune_distill.space import Params
from tune_distill.spec import StudySpec, resolve

RUNGS = 9  # as the recorded trainings have
HEADER = (
    *("nodes", "slots", "trials", "mean trial s", "efficiency", "window s"),
    *("driver's CPU ms a trial", "driver's memory MB"),
)
Array = NDArray[np.float64]
CURVES = Path(__file__).parent / "curves.parquet"


@dataclass(frozen=True)
class Plan:
    """What the trials share."""

    slots: int
    naps: Sequence[float]  # seconds


def run(
    spec: StudySpec,
    params: Params,
    inputs: Plan,
    folder: Path,
    report: Callable[[Rung], None],
    *,
    threads: int,
    device: str,
) -> Outcome:
    """Sleeps through its rungs, once every slot has a trial, and notes when."""
    while len(os.listdir(folder.parent)) < inputs.slots:  # noqa: PTH208 - no path is wanted
        time.sleep(1.0)
    began, number = time.time(), int(folder.name)
    nap = inputs.naps[number % len(inputs.naps)] / RUNGS
    rungs = []
    for epoch in range(1, RUNGS + 1):
        time.sleep(nap)
        rungs.append(Rung(epoch, epoch, 0.5 + number / 1e6, {}, seconds=nap))
        report(rungs[-1])
    write_atomically(folder / "rungs.json", json.dumps([asdict(rung) for rung in rungs]))
    write_atomically(folder / "slept.json", json.dumps([began, time.time(), RUNGS * nap]))
    return Outcome(accuracy=0.5 + number / 1e6, size_mb=1.0, parameters=1, flops=1.0)


def durations(mean: float | None) -> list[float]:
    """Seconds of the recorded trainings; scaled to a mean."""
    seconds = np.array(pq.read_table(CURVES, columns=["seconds"])["seconds"])
    return list(seconds * (1.0 if mean is None else mean / seconds.mean()))


@contextmanager
def cluster(nodes: int, slots: int) -> Iterator[str]:
    """The address of so many nodes, and a head that runs no trial."""
    from ray.cluster_utils import Cluster

    # Ray holds a worker ready for each slot, which no trial of Tune's gets, whose environment is
    # its own: of sixteen nodes on one machine they would take a third of its memory. And it starts
    # as many at once as a node has slots, and kills what takes a minute, as 128 on two cores do.
    system = {
        "enable_worker_prestart": False,
        "prestart_worker_first_driver": False,
        "worker_maximum_startup_concurrency": 1,
        "worker_register_timeout_seconds": 600,
    }
    simulated = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": system}
    )
    try:
        for _ in range(nodes):
            simulated.add_node(num_cpus=slots)
        yield simulated.address
    finally:
        simulated.shutdown()


def searched(
    nodes: int, slots: int, trials: int, sampler: str, naps: Sequence[float]
) -> tuple[Array, Clock]:
    """(begin, end, seconds slept) of each trial of a search on a cluster; its driver's clock."""
    document = DOCUMENT | {"name": "scaling", "search": {"trials": trials, "sampler": sampler}}
    document["resources"] = {"concurrent": nodes * slots}
    storage, clock = Path(tempfile.mkdtemp(prefix="scaling")), Clock()
    try:
        with cluster(nodes, slots) as address:
            search(
                resolve(document),
                document,
                storage,
                prepare=lambda _spec, _cache, _say: Plan(nodes * slots, naps),
                run=run,
                read_rungs=read_rungs,
                listen=lambda _folder, _inputs: nullcontext((clock,)),
                address=address,
            )
        slept = [json.loads(file.read_text()) for file in storage.glob("*/trials/*/slept.*")]
        return np.array(slept), clock
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def efficiency(trials: Array, slots: int) -> tuple[float, float]:
    """(share of the slots' time that trials slept, seconds of that window).

    Args:
        trials: (trials, 3) begin, end, seconds slept.
        slots: of the cluster.
    """
    begins, ends, naps = trials.T
    full, last = np.sort(begins)[slots - 1], begins.max()
    inside = np.maximum(np.minimum(ends, last) - np.maximum(begins, full), 0)
    slept = (inside * naps / (ends - begins)).sum()
    return slept / (slots * (last - full)), last - full


def measured(nodes: int, each: int, given: argparse.Namespace) -> list[object]:
    """A row of the table, of so many nodes with so many slots each."""
    count, naps = given.trials or nodes * each * given.each, durations(given.seconds)
    trials, clock = searched(nodes, each, count, given.sampler, naps)
    processor, *_, memory = clock.between(1, count)
    cells = trials[:, 2].mean(), *efficiency(trials, nodes * each), processor, memory
    shown = (f"{cell:.{digits}f}" for cell, digits in zip(cells, (1, 3, 0, 1, 0), strict=True))
    return [nodes, nodes * each, count, *shown]


def shape(text: str) -> tuple[int, int]:
    """Nodes and slots of each, from 16x8."""
    nodes, slots = text.split("x")
    return int(nodes), int(slots)


def main() -> None:
    """A row for each cluster, in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    every = [(1, 1), (1, 2), (1, 8), (4, 8), (16, 8)]
    parser.add_argument("--clusters", type=shape, nargs="+", default=every, help="as 16x8")
    parser.add_argument("--each", type=int, default=5, help="trials a slot")
    parser.add_argument("--trials", type=int, help="in all, instead")
    parser.add_argument(
        "--seconds", type=float, help="that a trial takes on average; else recorded"
    )
    parser.add_argument("--sampler", default="random")
    given = parser.parse_args()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    cloudpickle.register_pickle_by_value(sys.modules["overhead"])  # type: ignore[no-untyped-call]
    table(HEADER, (measured(nodes, slots, given) for nodes, slots in given.clusters))


if __name__ == "__main__":
    main()
