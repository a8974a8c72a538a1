"""The distillation loop: an iterator of epochs.

AdamW without decay on biases and norms, linear warm-up and decay, gradient clipping,
length-bucketed batches. The random numbers of an epoch depend on (seed, epoch) alone, so that a
run stopped and resumed at an epoch's end equals the uninterrupted one, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from tune_distill import signals
from tune_distill.errors import Diverged
from tune_distill.methods import Method
from tune_distill.signals import Needs, Signals
from tune_distill.spec import TrainSpec
from tune_distill.tasks import Batch, Encoded
from tune_distill.tasks.batches import batches
from tune_distill.train.checkpoint import Run, resume, save
from tune_distill.train.optimise import autocast, optimizer_of, random_of, schedule

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Teacher = Callable[[Batch], Signals]

EVERY = 50  # updates between two looks for NaN; each look waits for the device
LOGITS = Needs(logits=True)


@dataclass(frozen=True)
class Epoch:
    """One finished epoch."""

    epoch: int  # from 1
    updates: int  # since the start of training
    losses: dict[str, float]  # each term of the method, mean over the epoch's updates


def train(
    student: PreTrainedModel,
    method: Method,
    data: Encoded,
    config: TrainSpec,
    *,
    seed: int,
    teacher: Teacher | None = None,
    needs: Needs = LOGITS,
    heads: nn.Module | None = None,
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
        needs: the signals that the method asks of the student.
        heads: the method's train-only modules.
        device: where to train.
        checkpoint: a folder; written when the iterator is asked on after an epoch, and continued
            from when it is there.

    Raises:
        Diverged: the loss is not finite.
    """
    modules = nn.ModuleDict({"student": student, "heads": heads or nn.Identity()}).to(device)
    run = Run(modules, optimizer_of(modules, config))
    if checkpoint is not None:
        resume(run, checkpoint, device)
    total = config.epochs * -(-len(data) // config.batch_size)
    while run.epoch < config.epochs:
        with random_of(seed, run.epoch, device):
            losses = _epoch(run, method, data, config, seed, total, teacher, needs, device)
        run.epoch += 1
        yield Epoch(run.epoch, run.updates, losses)
        if checkpoint is not None:  # after the caller has dealt with the epoch: it is repeated
            save(run, checkpoint)  # whole, or not at all


def _epoch(
    run: Run,
    method: Method,
    data: Encoded,
    config: TrainSpec,
    seed: int,
    total: int,
    teacher: Teacher | None,
    needs: Needs,
    device: str,
) -> dict[str, float]:
    student, heads = cast("PreTrainedModel", run.modules["student"]), run.modules["heads"]
    run.modules.train()
    sums: dict[str, Tensor] = {}
    count = 0
    for rows in batches(data, config.batch_size, seed, run.epoch):
        batch = data.batch(rows).to(device)
        seen = teacher(batch) if teacher else None
        with autocast(device, config.precision):
            terms = method.loss(signals.run(student, batch.inputs(), needs), seen, batch, heads)
        _update(run, terms["total"], config, total)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0) + term.detach()
        count += 1
        if count % EVERY == 0:
            _refuse_nan(sums["total"], run)
    _refuse_nan(sums["total"], run)
    return {name: float(value) / count for name, value in sums.items()}


def _update(run: Run, loss: Tensor, config: TrainSpec, total: int) -> None:
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.modules.parameters(), config.clip)
    factor = schedule(run.updates, total, config.warmup)
    for group in run.optimizer.param_groups:
        group["lr"] = config.learning_rate * factor
    run.optimizer.step()
    run.updates += 1


def _refuse_nan(loss: Tensor, run: Run) -> None:
    if not torch.isfinite(loss):
        raise Diverged(
            f"the loss is no longer finite after {run.updates} updates; "
            "a lower learning rate, more warm-up or a smaller clip helps"
        )
