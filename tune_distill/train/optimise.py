"""What turns a loss into an update: the optimiser, its precision, its randomness."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tune_distill.spec import TrainSpec

GAIN = 1.2  # of bf16 products over float32's, for the casts to be repaid


def optimizers_of(modules: nn.Module, config: TrainSpec) -> tuple[torch.optim.Optimizer, ...]:
    """An optimiser each for what plays against the rest (`opponent` of a module), and for the rest.

    So neither the clipping nor the state of one knows of the other's gradients.
    """
    found = (getattr(module, "opponent", None) for module in modules.modules())
    opponents = [module for module in found if isinstance(module, nn.Module)]
    apart = {parameter for module in opponents for parameter in module.parameters()}
    return (
        optimizer_of(modules, config, without=apart),
        *(optimizer_of(module, config) for module in opponents),
    )


def optimizer_of(
    modules: nn.Module, config: TrainSpec, without: Collection[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """AdamW over all parameters; biases and norms, told by their type, are not decayed.

    A module's `learning_rate_ratio` holds for all below it: each group has its `ratio`.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    taken = set(without)  # and once each: a masked model's head shares the table of its embeddings
    for module, ratio in _with_ratio(modules, 1.0):
        for name, parameter in module.named_parameters(recurse=False):
            plain = name == "bias" or isinstance(module, nn.LayerNorm)
            if parameter not in taken:
                groups.setdefault((ratio, plain), []).append(parameter)
                taken.add(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": 0.0 if plain else config.weight_decay,
                "ratio": ratio,
            }
            for (ratio, plain), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=True,
    )


def clip(optimizer: torch.optim.Optimizer, largest: float) -> None:
    """Shortens gradients to this norm, those of each learning-rate ratio by themselves."""
    by_ratio: dict[float, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        by_ratio.setdefault(group["ratio"], []).extend(group["params"])
    for parameters in by_ratio.values():
        nn.utils.clip_grad_norm_(parameters, largest)


def _with_ratio(module: nn.Module, ratio: float) -> Iterator[tuple[nn.Module, float]]:
    ratio = float(getattr(module, "learning_rate_ratio", ratio))
    yield module, ratio
    for child in module.children():
        yield from _with_ratio(child, ratio)


@contextmanager
def random_of(seed: int, epoch: int, device: str) -> Iterator[None]:
    """Random numbers of (seed, epoch) within; the caller's generator is as it was after."""
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=7).digest()
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(int.from_bytes(digest, "big"))
        yield


def autocast(device: str, precision: str) -> torch.autocast:
    """Mixed precision: where it is asked for, or where the device gains by it."""
    kind = device.split(":")[0]
    if precision == "auto":
        enabled = torch.cuda.is_bf16_supported() if kind == "cuda" else cpu_gains_by_bf16()
    else:
        enabled = precision == "bfloat16"
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=enabled)


@functools.cache
def cpu_gains_by_bf16() -> bool:
    """Whether this CPU multiplies bf16 clearly faster than float32; tried once a process, 30 ms.

    That it has the instructions says nothing: on one processor with them a step takes 0.6 of its
    time in float32, on another 1.5 times it (docs/LOG.md). Products alone differ by about two
    either way, so that load does not sway the answer.
    """
    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    kinds = (torch.float32, torch.bfloat16)  # of a product as in a feed-forward layer
    pairs = [
        (torch.ones(512, 256, dtype=kind), torch.ones(256, 1024, dtype=kind)) for kind in kinds
    ]
    turns = [[_seconds(*pair) for pair in pairs] for _ in range(6)]
    float32, bf16 = map(min, zip(*turns, strict=True))
    return bool(float32 > GAIN * bf16)


def _seconds(left: Tensor, right: Tensor) -> float:
    began = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - began
