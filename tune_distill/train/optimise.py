"""What turns a loss into an update: the optimiser, its schedule, its precision, its randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from tune_distill.spec import TrainSpec


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


def optimizer_of(modules: nn.Module, config: TrainSpec) -> torch.optim.Optimizer:
    """AdamW over all parameters; biases and norms, told by their type, are not decayed."""
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
def random_of(seed: int, epoch: int, device: str) -> Iterator[None]:
    """Random numbers of (seed, epoch) within; the caller's generator is as it was after."""
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=7).digest()
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(int.from_bytes(digest, "big"))
        yield


def autocast(device: str, precision: str) -> torch.autocast:
    """Mixed precision: where it is asked for, or where the device has instructions for bf16."""
    kind = device.split(":")[0]
    if precision == "auto":
        enabled = torch.cuda.is_bf16_supported() if kind == "cuda" else _cpu_has_bf16()
    else:
        enabled = precision == "bfloat16"
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled)


def _cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16: a step is then up to 1.7 times as fast (docs/LOG.md)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
