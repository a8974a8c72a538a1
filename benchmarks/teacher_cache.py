"""What the teacher's signals cost on disk: to compute, to read, to keep, to share.

    python benchmarks/teacher_cache.py --set teacher.model=PATH --set task.dataset=glue/sst2

    build     `cache.ensure` (hashing, forward passes with hooks, half precision, writing, checksum)
              over the bare forward passes of the teacher on the same batches, in turns
    bytes     on disk over what the same numbers take as raw float16, real tokens only
    read      MB a second of an epoch's shuffled batches, gathered and padded, beside a plain copy
              of the memory-mapped file from front to back
    memory    private MB of each of two processes that read the whole cache side by side, beyond
              what they had before they opened it (smaps_rollup, Linux); the pages themselves are
              the system's, once for both

For the signals of logit distillation, of all hidden states, and of the last block's Q, K and V.
`--clock cpu` counts processor time, for machines that are busy with other things.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import sys
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from common import CLOCKS, Clock, small, table

from tune_distill import cache, families, tasks, teacher
from tune_distill.cache.build import CPU_TOKENS
from tune_distill.cache.files import open_values
from tune_distill.prepare import prepare_teacher
from tune_distill.signals import Needs
from tune_distill.spec import resolve
from tune_distill.spec.load import override
from tune_distill.tasks import Batch, Encoded
from tune_distill.tasks.batches import batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BATCH, SEED = 32, 0
RAW = 2  # bytes of a float16
HEADER = (
    *("signals", "MB", "build s", "bare s", "build / bare", "least", "largest"),
    *("bytes / fp16", "read MB/s", "copy MB/s", "private MB", "beyond before"),
)


def needs_of(layers: int) -> dict[str, Needs]:
    """What is cached in each row of the table."""
    logits = Needs(logits=True)
    return {
        "logits": logits,
        "logits, hidden": logits | Needs(hidden=tuple(range(layers + 1))),
        "logits, q k v": logits | Needs(qkv=(layers,)),
    }


def bare(model: PreTrainedModel, made: list[Batch], clock: Clock) -> float:
    """Seconds of the teacher's forward passes."""
    began = clock()
    with torch.inference_mode():
        for batch in made:
            model(**families.taken(model, batch.inputs()))
    return clock() - began


def built(
    model: PreTrainedModel, data: Encoded, needs: Needs, root: Path, clock: Clock
) -> tuple[float, Path]:
    """Seconds to fill an empty cache, and its folder."""
    shutil.rmtree(root, ignore_errors=True)
    began = clock()
    made = cache.ensure(model, data, needs, root, limit_gb=np.inf, say=lambda _: None)
    return clock() - began, made.folder


def read(data: Encoded, folder: Path, needs: Needs, clock: Clock) -> float:
    """Seconds of gathering each row's signals once, in shuffled batches."""
    made = [data.batch(rows) for rows in batches(data, BATCH, SEED, 0)]
    began = clock()
    signals = cache.TeacherSignals(folder, needs)
    for batch in made:
        signals(batch, needs)
    return clock() - began


def copied(folder: Path, names: tuple[str, ...], clock: Clock) -> float:
    """Seconds of copying the same files out of their memory maps."""
    began = clock()
    for name in names:
        np.array(open_values(folder, name))
    return clock() - began


def private_mb() -> float:
    """Of this process: what it shares with none."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1e3


def reader(task: Path, folder: Path, needs: Needs, both: Barrier, told: Any) -> None:  # noqa: ANN401
    """One of two trials: opens the cache, reads it whole, tells its private memory."""
    torch.set_num_threads(1)
    data = tasks.open_prepared(task).train
    before = private_mb()
    signals = cache.TeacherSignals(folder, needs)
    for rows in batches(data, BATCH, SEED, 0):
        signals(data.batch(rows), needs)
    both.wait()
    told.put((private_mb(), private_mb() - before))


def shared(task: Path, folder: Path, needs: Needs) -> tuple[float, float]:
    """Private MB of the larger of two processes, and how far it grew."""
    context = multiprocessing.get_context("spawn")
    told, both = context.SimpleQueue(), context.Barrier(2)
    readers = [
        context.Process(target=reader, args=(task, folder, needs, both, told)) for _ in range(2)
    ]
    for process in readers:
        process.start()
    found: list[tuple[float, float]] = [told.get() for _ in readers]
    for process in readers:
        process.join()
    return max(found)


@dataclass(frozen=True)
class Bench:
    """A teacher on a task's training rows."""

    model: PreTrainedModel
    task: tasks.Prepared
    storage: Path
    turns: int
    clock: Clock

    def row(self, needs: Needs) -> list[float]:
        """One of the table."""
        data = self.task.train
        folder, built_and_bare = self._built(data, needs)
        reads = [
            (read(data, folder, needs, self.clock), copied(folder, needs.names(), self.clock))
            for _ in range(self.turns)
        ]
        shapes = cache.layouts(needs, data, self.model.config).values()
        size = sum(layout.bytes for layout in shapes) / 1e6
        raw = sum(layout.bytes / layout.numpy.itemsize * RAW for layout in shapes) / 1e6
        disk = sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6
        ratios = [ours / theirs for ours, theirs in built_and_bare]
        return [
            size,
            *(statistics.median(column) for column in zip(*built_and_bare, strict=True)),
            *(statistics.median(ratios), min(ratios), max(ratios), disk / raw),
            *(size / statistics.median(column) for column in zip(*reads, strict=True)),
            *shared(self.task.folder, folder, needs),
        ]

    def _built(self, data: Encoded, needs: Needs) -> tuple[Path, list[tuple[float, float]]]:
        made = [data.batch(rows) for rows in tasks.ordered_batches(data, CPU_TOKENS)]
        bare(self.model, made[:2], self.clock)  # wakes what is slow the first time
        turns = []
        for _ in range(self.turns):
            root = self.storage / "signals"
            seconds, folder = built(self.model, data, needs, root, self.clock)
            turns.append((seconds, bare(self.model, made, self.clock)))
        return folder, turns


def main() -> None:
    """Reads the arguments, prepares the teacher, prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/cache-benchmark"))
    parser.add_argument("--rows", type=int, default=1000, help="of train, at most")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: a busy machine")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    spec = resolve(override(small("cache", given.rows, ["kd"]), given.set))
    found = prepare_teacher(
        spec, given.storage / "cache", lambda line: print(line, file=sys.stderr)
    )
    model, clock = teacher.load(found.folder), CLOCKS[given.clock]
    bench = Bench(model, found.task, given.storage, given.turns, clock)
    print(f"{given.clock} time, {given.threads} threads, {len(found.task.train):,} rows")
    every = needs_of(model.config.num_hidden_layers).items()
    table(HEADER, ([name, *(f"{cell:.2f}" for cell in bench.row(needs))] for name, needs in every))


if __name__ == "__main__":
    main()
