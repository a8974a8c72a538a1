"""How far a trial is from its student's own arithmetic.

    python benchmarks/limit.py --set teacher.model=PATH --set task.dataset=glue/sst2 --rows 4000

First, one epoch of the loop (batches, teacher signals from a warm cache, losses, clipping,
schedule) over that of a bare torch loop that does only the student's forward pass, backward pass
and fused AdamW step, on the same batches in the same order, made before the clock starts; for `kd`
with the KL to teacher logits that were gathered before. In turns, both from the same weights; the
ratio is the median of the turns' ratios, with the least and the largest.

Then, whole trials of one epoch in a process that has run others before, step by step in seconds.
`fixed` is what a trial takes however long it trains: all that comes before its first update, its
files, and what no step accounts for.

`--clock cpu` counts processor time, for machines that are busy with other things.
"""

from __future__ import annotations

import argparse
import copy
import functools
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from common import CLOCKS, Clock, small, table
from torch import Tensor
from torch.nn import functional as F

from tune_distill import cache, reading, student, tasks, trial
from tune_distill.inputs import Inputs, teacher_config
from tune_distill.methods.kd import KD
from tune_distill.prepare import prepare
from tune_distill.signals import Needs
from tune_distill.spec import StudySpec, TrialConfig, resolve
from tune_distill.spec.load import override
from tune_distill.tasks.batches import batches
from tune_distill.train import loop, train
from tune_distill.train.optimise import autocast

SEED = 1
BEFORE = ("data opened", "student made", "cache opened", "first batch")
STEPS: dict[str, tuple[object, str]] = {  # of a trial, and where each is called
    "data opened": (tasks, "open_prepared"),
    "student made": (trial, "_student"),
    "cache opened": (trial, "_signals"),
    "trained": (loop._Training, "epoch"),
    "rung measured": (trial, "predict"),
    "checkpoint": (loop, "save"),
    "files": (trial, "_save"),
}
HEADER = ("student", "method", "ours s", "bare s", "ours / bare", "least", "largest")


def params(shape: str, method: str) -> dict[str, Any]:
    """A draw for LAYERS/WIDTH, its heads 32 wide."""
    layers, width = map(int, shape.split("/"))
    drawn = {"student.layers": layers, "student.hidden_size": width, "student.heads": width // 32}
    return {**drawn, "method": method, "train.epochs": 1, "train.seed": SEED}


class Subject:
    """A student, its method and its data; each turn starts from the same weights."""

    def __init__(self, inputs: Inputs, drawn: dict[str, Any]) -> None:
        config = TrialConfig.from_params(drawn)
        self.task = task = tasks.open_prepared(reading.find(inputs.readings, config.student).task)
        taught = teacher_config(inputs.teacher)
        own = student.config(config.student, taught, task.label_names, task.kind)
        needs = config.method.needs(student.shape(taught), student.shape(own))[0]
        self.method, self.config, self.data = config.method, config.train, task.train
        self.model = student.build(own, SEED)
        signals = inputs.signals
        self.signals = cache.TeacherSignals(signals, needs) if needs and signals else None

    def ours(self, clock: Clock) -> float:
        """Seconds of an epoch of `train`, from its call on."""
        model = copy.deepcopy(self.model)
        began = clock()
        next(train(model, self.method, self.data, self.config, seed=SEED, teacher=self.signals))
        return clock() - began

    def bare(self, clock: Clock) -> float:
        """Seconds of the same updates, and nothing else."""
        model = copy.deepcopy(self.model).train()
        made = self.made()
        optimizer = torch.optim.AdamW(
            model.parameters(), self.config.learning_rate, weight_decay=0.01, fused=True
        )
        began = clock()
        for batch, logits in made:
            optimizer.zero_grad(set_to_none=True)
            with autocast("cpu", self.config.precision):
                own = model(**batch.inputs()).logits
            self.loss(own.float(), batch.labels, logits).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return clock() - began

    def made(self) -> list[tuple[tasks.Batch, Tensor | None]]:
        """The batches of an epoch, with the teacher's logits where there is one."""
        rows = batches(self.data, self.config.batch_size, SEED, 0)
        return [(batch, self._logits(batch)) for batch in map(self.data.batch, rows)]

    def _logits(self, batch: tasks.Batch) -> Tensor | None:
        return self.signals(batch, Needs(logits=True)).scores() if self.signals else None

    def loss(self, own: Tensor, labels: Tensor, logits: Tensor | None) -> Tensor:
        """The loss as its paper has it, and as nothing of ours computes it."""
        hard = F.cross_entropy(own, labels)
        if logits is None or not isinstance(self.method, KD):
            return hard
        warm, alpha = self.method.temperature, self.method.alpha
        log_p, log_q = F.log_softmax(logits / warm, -1), F.log_softmax(own / warm, -1)
        soft = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
        return (1 - alpha) * hard + alpha * warm**2 * soft


def compared(inputs: Inputs, shape: str, method: str, turns: int, clock: Clock) -> list[str]:
    """A row of the first table."""
    subject = Subject(inputs, params(shape, method))
    subject.bare(clock)  # wakes what is slow the first time
    pairs = [(subject.ours(clock), subject.bare(clock)) for _ in range(turns)]
    ratios = [ours / bare for ours, bare in pairs]
    seconds = [statistics.median(column) for column in zip(*pairs, strict=True)]
    found = [statistics.median(ratios), min(ratios), max(ratios)]
    return [shape, method, *(f"{value:.2f}" for value in [*seconds, *found])]


@contextmanager
def watched(clock: Clock) -> Iterator[dict[str, float]]:
    """Seconds within each step of the trials that run within."""
    spent: dict[str, float] = defaultdict(float)

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            began = clock()
            try:
                return call(*args, **kwargs)
            finally:
                spent[name] += clock() - began

        return wrapped

    whole = {name: getattr(owner, attribute) for name, (owner, attribute) in STEPS.items()}
    try:
        for name, (owner, attribute) in STEPS.items():
            setattr(owner, attribute, timed(name, whole[name]))
        yield spent
    finally:
        for name, (owner, attribute) in STEPS.items():
            setattr(owner, attribute, whole[name])


def steps(
    spec: StudySpec, inputs: Inputs, shape: str, method: str, turns: int, clock: Clock
) -> list[str]:
    """A row of the second table: medians of each step."""
    found: list[dict[str, float]] = []
    for _ in range(turns + 1):
        with tempfile.TemporaryDirectory(prefix="limit") as folder, watched(clock) as spent:
            began = clock()
            trial.run(spec, params(shape, method), inputs, Path(folder), lambda _: None)
            whole = clock() - began
        spent["rest"] = whole - sum(spent.values())
        spent["first batch"] = _first_batch(Subject(inputs, params(shape, method)), clock)
        found.append(dict(spent))
    del found[0]  # of a process that has run none before
    names = [*BEFORE, *_after()]
    medians = {name: statistics.median(one[name] for one in found) for name in names}
    before = sum(medians[name] for name in BEFORE)
    fixed = before + medians["files"] + medians["rest"]
    return [shape, method, *(f"{medians[name]:.3f}" for name in names), f"{fixed:.2f}"]


def _after() -> list[str]:
    return [name for name in [*STEPS, "rest"] if name not in BEFORE]


def _first_batch(subject: Subject, clock: Clock) -> float:
    began = clock()
    rows = next(batches(subject.data, subject.config.batch_size, SEED, 0))
    batch = subject.data.batch(rows)
    if subject.signals:
        subject.signals(batch, Needs(logits=True))
    return clock() - began


def main() -> None:
    """Reads the arguments, prepares the teacher's signals, prints both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/limit-benchmark"))
    parser.add_argument("--rows", type=int, default=4000, help="of train, at most")
    parser.add_argument("--students", nargs="+", default=["2/128", "4/192"])
    parser.add_argument("--methods", nargs="+", default=["finetune", "kd"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--trials", type=int, default=3, help="whole ones; 0 leaves them out")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: a busy machine")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    spec = resolve(override(small("limit", given.rows, given.methods), given.set))
    inputs = prepare(spec, given.storage / "cache", lambda line: print(line, file=sys.stderr))
    clock = CLOCKS[given.clock]
    pairs = [(shape, method) for shape in given.students for method in given.methods]
    rows = len(tasks.open_prepared(inputs.task).train)
    print(f"{given.clock} time, {given.threads} threads, an epoch of {rows:,} rows")
    table(HEADER, (compared(inputs, *pair, given.turns, clock) for pair in pairs))
    if given.trials:
        names = (*BEFORE, *_after(), "fixed")
        told = (steps(spec, inputs, *pair, given.trials, clock) for pair in pairs)
        table(("student", "method", *names), told)


if __name__ == "__main__":
    main()
