"""The distillation loop: an iterator of epochs.

AdamW without decay on biases and norms, linear warm-up and decay, gradient clipping,
length-bucketed batches. The random numbers of an epoch depend on (seed, epoch) alone, so that a
run stopped and resumed at an epoch's end equals the uninterrupted one, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_distill import signals
from tune_distill.errors import Diverged
from tune_distill.hardening import Hardening
from tune_distill.methods import Method, ModelShape
from tune_distill.signals import Needs, Signals
from tune_distill.spec import TrainSpec
from tune_distill.student import shape
from tune_distill.tasks import Batch, Encoded
from tune_distill.tasks.batches import batches
from tune_distill.train.checkpoint import Run, resume, save
from tune_distill.train.course import Leg, legs, updates_of
from tune_distill.train.defence import Defence, cost_of, modules_of, shown
from tune_distill.train.dropout import cheap_dropout
from tune_distill.train.optimise import autocast, clip, optimizers_of, random_of
from tune_distill.train.words import ReadWords

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tune_distill.train.texts import Texts

Teacher = Callable[[Batch, Needs], Signals]

EVERY = 50  # updates between two looks for NaN; each look waits for the device


@dataclass(frozen=True)
class Epoch:
    """One finished epoch."""

    epoch: int  # from 1
    updates: int  # since the start of training
    losses: dict[str, float]  # each term of the method, mean over the updates that had it
    planned: int  # updates of the whole run


def train(
    student: PreTrainedModel,
    method: Method,
    data: Encoded,
    config: TrainSpec,
    *,
    seed: int,
    teacher: Teacher | None = None,
    teacher_shape: ModelShape | None = None,
    heads: nn.Module | None = None,
    hardening: Hardening | None = None,
    texts: Texts | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
) -> Iterator[Epoch]:
    """Trains the student in place; yields at the end of each epoch.

    Args:
        student: a sequence classifier; moved to `device`.
        method: whose loss is minimised.
        data: the encoded rows of the training split.
        config: learning rate, batch size, epochs, warm-up, decay, clipping.
        seed: of the batches' order and of dropout.
        teacher: the teacher's signals of a batch; None for methods that need none.
        teacher_shape: the teacher's; None where it is the student's.
        heads: the method's train-only modules.
        hardening: a defence, which takes over where its stage begins.
        texts: of the rows; for a defence that changes them.
        device: where to train.
        checkpoint: a folder; written when the iterator is asked on after an epoch, and continued
            from when it is there.

    Raises:
        Diverged: the loss is not finite, or the method finds itself broken.
    """
    own = shape(student.config)
    rows = shown(hardening, data)
    total = updates_of(config, len(rows), cost_of(hardening, len(rows) / len(data)))
    course = legs(method, (teacher_shape or own, own), total)
    extra = modules_of(hardening, own, seed)
    parts = {"student": student, "heads": heads, "defence": extra}
    modules = nn.ModuleDict({name: part or nn.Identity() for name, part in parts.items()})
    run = Run(modules.to(device), optimizers_of(modules, config))
    if checkpoint is not None:
        resume(run, checkpoint, device)
    defence = None
    if hardening is not None:
        given = (texts, seed, device, config.precision, extra, data, teacher, config.batch_size)
        defence = Defence(hardening, total, *given)
    # A defence may change words.
    words = ReadWords.of(student, data, run.optimizers[0]) if hardening is None else None
    training = _Training(
        run, course, data, rows, total, config, seed, teacher, device, defence, words
    )
    while run.updates < total:
        losses = training.epoch()
        if reason := method.broken(losses):
            raise Diverged(reason)
        run.epoch += 1
        yield Epoch(run.epoch, run.updates, losses, total)
        if checkpoint is not None:  # after the caller has dealt with the epoch: it is repeated
            save(run, checkpoint)  # whole, or not at all


@dataclass
class _Training:
    run: Run
    course: tuple[Leg, ...]
    data: Encoded
    rows: NDArray[np.int64]  # that an epoch shows
    total: int  # updates of the run
    config: TrainSpec
    seed: int
    teacher: Teacher | None
    device: str
    defence: Defence | None
    words: ReadWords | None  # that all its batches are made of, where that is known

    def epoch(self) -> dict[str, float]:
        """One pass over the data, or what the budget leaves of it; the mean of each term."""
        run = self.run
        run.modules.train()
        if self.defence is not None:
            self.defence.begin(cast("PreTrainedModel", run.modules["student"]), run.epoch)
        sums: dict[str, Tensor] = {}
        counts: Counter[str] = Counter()
        words = self.words.alone() if self.words else nullcontext()
        draws = random_of(self.seed, run.epoch, self.device)
        with draws, words, cheap_dropout(run.modules, self.device):
            size = self.config.batch_size
            left = self.total - run.updates
            shuffled = batches(self.data, size, self.seed, run.epoch, self.rows)
            for rows in islice(shuffled, left):
                terms = self._update(self.data.batch(rows).to(self.device))
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0) + term.detach()
                counts.update(terms.keys())
                if run.updates % EVERY == 0:
                    _refuse_nan(sums["total"], run)
        _refuse_nan(sums["total"], run)
        return {name: float(value) / counts[name] for name, value in sums.items()}

    def _update(self, batch: Batch) -> dict[str, Tensor]:
        run = self.run
        leg = next(leg for leg in self.course if run.updates < leg.stop)
        if run.updates == leg.start:
            for optimizer in run.optimizers:
                optimizer.state.clear()  # each phase is a training of its own
        seen = self.teacher(batch, leg.given) if self.teacher and leg.given else None
        for optimizer in run.optimizers:
            optimizer.zero_grad(set_to_none=True)
        terms = self._gradients(leg, batch, seen)
        rate = self.config.learning_rate * leg.rate(run.updates, self.config.warmup)
        for optimizer in run.optimizers:
            clip(optimizer, self.config.clip)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["ratio"]
            optimizer.step()
        if self.words:
            self.words.updated()
        run.updates += 1
        return terms

    def _gradients(self, leg: Leg, batch: Batch, seen: Signals | None) -> dict[str, Tensor]:
        """One forward and one backward pass, or what a defence makes of them; the terms."""
        student = cast("PreTrainedModel", self.run.modules["student"])
        heads = self.run.modules["heads"]
        if self.defence is not None and self.run.updates >= self.defence.first:
            ends = -(-len(self.rows) // self.config.batch_size) * (self.run.epoch + 1)
            left = min(ends, self.total) - self.run.updates
            return self.defence.learn(self.run.updates, student, leg, batch, seen, heads, left)
        inputs = self.words.renumbered(batch.inputs()) if self.words else batch.inputs()
        with autocast(self.device, self.config.precision):
            own = signals.run(student, inputs, leg.asked)
        terms = leg.phase.method.loss(own, seen, batch, heads)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        return terms


def _refuse_nan(loss: Tensor, run: Run) -> None:
    if not torch.isfinite(loss):
        raise Diverged(
            f"the loss is no longer finite after {run.updates} updates; "
            "a lower learning rate, more warm-up or a smaller clip helps"
        )
