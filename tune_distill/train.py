"""The distillation loop: an iterator of epochs, with no framework around it.

AdamW without decay on biases and norms, linear warm-up and decay, gradient clipping,
length-bucketed batches. The random numbers of an epoch depend on (seed, epoch) alone, so that a
run stopped and resumed at an epoch's end equals the uninterrupted one, bit for bit.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tune_distill import signals
from tune_distill.errors import Diverged
from tune_distill.folder import write_atomically
from tune_distill.methods import Method
from tune_distill.signals import Needs, Signals
from tune_distill.spec import TrainSpec
from tune_distill.tasks import Batch, Encoded
from tune_distill.tasks.batches import batches, ordered_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Teacher = Callable[[Batch], Signals]

EVERY = 50  # updates between two looks for NaN; each look waits for the device
LOGITS = Needs(logits=True)
CHECKPOINT = "training.ckpt"
DIGEST_BYTES = 32
TOKENS = 16_384  # of an evaluation batch, padding included


@dataclass(frozen=True)
class Epoch:
    """One finished epoch."""

    epoch: int  # from 1
    updates: int  # since the start of training
    losses: dict[str, float]  # each term of the method, mean over the epoch's updates


@dataclass
class _Run:
    """What an update changes, and so what a checkpoint holds."""

    modules: nn.ModuleDict  # student, and the method's heads
    optimizer: torch.optim.Optimizer
    epoch: int = 0
    updates: int = 0

    def state(self) -> dict[str, Any]:
        return {
            "modules": self.modules.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "updates": self.updates,
        }

    def load(self, state: dict[str, Any]) -> None:
        self.modules.load_state_dict(state["modules"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.updates = state["epoch"], state["updates"]


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
    run = _Run(modules, _optimizer(modules, config))
    if checkpoint is not None:
        _resume(run, checkpoint, device)
    total = config.epochs * -(-len(data) // config.batch_size)
    while run.epoch < config.epochs:
        with _random(seed, run.epoch, device):
            losses = _epoch(run, method, data, config, seed, total, teacher, needs, device)
        run.epoch += 1
        yield Epoch(run.epoch, run.updates, losses)
        if checkpoint is not None:  # after the caller has dealt with the epoch: it is repeated
            _save(run, checkpoint)  # whole, or not at all


def predict(model: PreTrainedModel, data: Encoded, device: str = "cpu") -> np.ndarray:
    """The logits of every row, in order, in eval mode and float32: (rows, classes)."""
    model.to(torch.device(device)).eval()  # type: ignore[arg-type]  # of a decorated method
    classes = int(model.config.num_labels or 1)
    logits = np.empty((len(data), classes), dtype=np.float32)
    with torch.inference_mode():
        for rows in ordered_batches(data, TOKENS):
            batch = data.batch(rows).to(device)
            logits[rows] = model(**batch.inputs()).logits.float().cpu().numpy()
    return logits


def _epoch(
    run: _Run,
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
        with _autocast(device, config.precision):
            terms = method.loss(signals.run(student, batch.inputs(), needs), seen, batch, heads)
        _update(run, terms["total"], config, total)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0) + term.detach()
        count += 1
        if count % EVERY == 0:
            _refuse_nan(sums["total"], run)
    _refuse_nan(sums["total"], run)
    return {name: float(value) / count for name, value in sums.items()}


def _update(run: _Run, loss: Tensor, config: TrainSpec, total: int) -> None:
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.modules.parameters(), config.clip)
    factor = schedule(run.updates, total, config.warmup)
    for group in run.optimizer.param_groups:
        group["lr"] = config.learning_rate * factor
    run.optimizer.step()
    run.updates += 1


def schedule(update: int, total: int, warmup: float) -> float:
    """The learning rate of an update over its largest: linear warm-up, then linear decay to 0.

    Args:
        update: from 0.
        total: updates of the whole run.
        warmup: share of `total` that warms up.
    """
    rising = round(warmup * total)
    if update < rising:
        return (update + 1) / rising
    return (total - update) / max(1, total - rising)


def _optimizer(modules: nn.Module, config: TrainSpec) -> torch.optim.Optimizer:
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for module in modules.modules():
        for name, parameter in module.named_parameters(recurse=False):
            plain = name == "bias" or isinstance(module, nn.LayerNorm)
            (kept if plain else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


@contextmanager
def _random(seed: int, epoch: int, device: str) -> Iterator[None]:
    """Random numbers of (seed, epoch) within; the caller's generator is as it was after."""
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=7).digest()
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(int.from_bytes(digest, "big"))
        yield


def _autocast(device: str, precision: str) -> torch.autocast:
    """Mixed precision: where it is asked for, or where the device has instructions for bf16."""
    kind = device.split(":")[0]
    if precision == "auto":
        enabled = torch.cuda.is_bf16_supported() if kind == "cuda" else _cpu_has_bf16()
    else:
        enabled = precision == "bfloat16"
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled)


def _cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16: a step is then 1.3 to 1.8 times as fast (docs/LOG.md)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _refuse_nan(loss: Tensor, run: _Run) -> None:
    if not torch.isfinite(loss):
        raise Diverged(
            f"the loss is no longer finite after {run.updates} updates; "
            "a lower learning rate, more warm-up or a smaller clip helps"
        )


def _save(run: _Run, folder: Path) -> None:
    """Writes the state behind its own digest: torch.load takes a flipped byte for a weight."""
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(run.state(), content)
    payload = content.getvalue()
    write_atomically(folder / CHECKPOINT, _digest(payload) + payload)


def _resume(run: _Run, folder: Path, device: str) -> None:
    """Loads the state of the last finished epoch; a damaged one is as good as none."""
    try:
        raw = (folder / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return
    digest, payload = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
    if digest == _digest(payload):
        run.load(torch.load(io.BytesIO(payload), map_location=device, weights_only=True))


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=DIGEST_BYTES).digest()
