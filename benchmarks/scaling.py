"""Does the search keep a cluster busy? Trials that sleep as long as recorded ones took.

    python benchmarks/scaling.py --nodes 1 4 16 --slots 8

Simulated clusters (`ray.cluster_utils`, all nodes on this machine), one search on each, of several
trials a slot. A slot's time counts from the moment that all slots have had a trial, since 128
workers that start on one machine's few cores say nothing of a cluster's, to the moment that no
trial is left to hand out. Efficiency is the share of it in which trials slept; what is missing is
the orchestration's: between a trial's end and the next one's begin.

`--record STUDY` takes durations from a study's folder, scaled to the mean `--seconds`; without it
they are log-normal with a standard deviation of half their mean, seeded.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from common import table
from overhead import DOCUMENT, read_rungs
from ray import cloudpickle

from tune_distill.folder import Rung, StudyFolder, write_atomically
from tune_distill.launch import search
from tune_distill.outcome import Outcome
from tune_distill.space import Params
from tune_distill.spec import StudySpec, resolve

RUNGS = 4
HEADER = ("nodes", "slots", "trials", "efficiency", "window s", "until all slots were busy s")


def run(
    spec: StudySpec,
    params: Params,
    inputs: Sequence[float],
    folder: Path,
    report: Callable[[Rung], None],
    *,
    threads: int,
    device: str,
) -> Outcome:
    """Sleeps through its rungs, and notes when."""
    began, number = time.time(), int(folder.name)
    nap = inputs[number % len(inputs)] / RUNGS
    rungs = []
    for epoch in range(1, RUNGS + 1):
        time.sleep(nap)
        rungs.append(Rung(epoch, epoch, 0.5 + number / 1e6, {}, seconds=nap))
        report(rungs[-1])
    write_atomically(folder / "rungs.json", json.dumps([asdict(rung) for rung in rungs]))
    write_atomically(folder / "slept.json", json.dumps([began, time.time()]))
    return Outcome(accuracy=0.5 + number / 1e6, size_mb=1.0, parameters=1, flops=1.0)


def durations(record: Path | None, mean: float, count: int) -> list[float]:
    """Seconds of so many trials."""
    if record is not None:
        taken = [r.seconds for r in StudyFolder(record).records() if r.state == "complete"]
        return [mean * seconds / statistics.mean(taken) for seconds in taken]
    drawn = np.random.default_rng(0).lognormal(sigma=np.sqrt(np.log(1.25)), size=count)
    return list(mean * drawn / drawn.mean())


@contextmanager
def cluster(nodes: int, slots: int) -> Iterator[str]:
    """The address of so many nodes, and a head that runs no trial."""
    from ray.cluster_utils import Cluster

    # Ray holds a worker ready for each slot, which no trial of Tune's gets, whose environment is
    # its own: with sixteen nodes on one machine they would take a third of its memory.
    idle = {"enable_worker_prestart": False, "prestart_worker_first_driver": False}
    simulated = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": idle}
    )
    try:
        for _ in range(nodes):
            simulated.add_node(num_cpus=slots)
        yield simulated.address
    finally:
        simulated.shutdown()


def searched(nodes: int, slots: int, trials: int, naps: Sequence[float]) -> list[list[float]]:
    """Begin and end of each trial of a search on a cluster."""
    document = DOCUMENT | {"name": "scaling", "search": {"trials": trials, "sampler": "random"}}
    document["resources"] = {"concurrent": nodes * slots}
    storage = Path(tempfile.mkdtemp(prefix="scaling"))
    try:
        with cluster(nodes, slots) as address:
            search(
                resolve(document),
                document,
                storage,
                prepare=lambda _spec, _cache, _say: naps,
                run=run,
                read_rungs=read_rungs,
                address=address,
            )
        return [json.loads(file.read_text()) for file in sorted(storage.glob("*/trials/*/slept.*"))]
    finally:
        shutil.rmtree(storage, ignore_errors=True)


def efficiency(slept: Sequence[Sequence[float]], slots: int) -> tuple[float, float, float]:
    """(share of the slots' time that trials slept, seconds of that window, until all were busy)."""
    begins = sorted(began for began, _ in slept)
    full, last = begins[slots - 1], begins[-1]
    busy = sum(max(0.0, min(ended, last) - max(began, full)) for began, ended in slept)
    return busy / (slots * (last - full)), last - full, full - begins[0]


def measured(nodes: int, given: argparse.Namespace) -> list[object]:
    """A row of the table."""
    slots = nodes * given.slots
    trials = slots * given.each
    naps = durations(given.record, given.seconds, trials)
    share, window, start = efficiency(searched(nodes, given.slots, trials, naps), slots)
    return [nodes, slots, trials, f"{share:.3f}", f"{window:.0f}", f"{start:.0f}"]


def main() -> None:
    """A row for each cluster, in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--slots", type=int, default=8, help="trials side by side on a node")
    parser.add_argument("--each", type=int, default=5, help="trials a slot")
    parser.add_argument("--seconds", type=float, default=30.0, help="that a trial takes")
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    cloudpickle.register_pickle_by_value(sys.modules["overhead"])  # type: ignore[no-untyped-call]
    table(HEADER, (measured(nodes, arguments) for nodes in arguments.nodes))


if __name__ == "__main__":
    main()
