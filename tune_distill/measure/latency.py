"""How long a model takes for one text, on one machine: what a user waits, without the tokenizer.

    each text by itself, unpadded, at the task's real lengths; a fixed number of threads
    rounds over all texts, the models in turn, so that what else the machine does meets each alike
    of a text the median over rounds; of a model the median over texts, and the 10th to 90th
    percentile, which is the spread of the lengths and of the machine together

A figure is of the machine that `machine()` names, and of no other.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

ROUNDS = 5
TEXTS = 100
THREADS = 1
_NAMES = ("model name", "Hardware", "Processor")  # keys of /proc/cpuinfo, of x86 and Arm


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one text."""

    median_ms: float
    low_ms: float  # 10th percentile over the texts
    high_ms: float  # 90th
    texts: int
    threads: int


def latencies(
    models: Mapping[str, Sequence[Callable[[], object]]],
    *,
    rounds: int = ROUNDS,
    threads: int = THREADS,
) -> dict[str, Latency]:
    """Times models on the same texts.

    Args:
        models: by name, what computes each text; as many for every model.
        rounds: over all texts, after one that warms up and isn't counted.
        threads: of torch while it runs; other runtimes are given theirs when they are opened.
    """
    seconds: dict[str, list[list[float]]] = {name: [] for name in models}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            for _ in range(rounds + 1):
                for name, texts in models.items():
                    seconds[name].append([_timed(one) for one in texts])
    finally:
        torch.set_num_threads(before)
    return {name: _latency(np.array(taken[1:]), threads) for name, taken in seconds.items()}


def sample(lengths: NDArray[np.int64], texts: int = TEXTS) -> NDArray[np.int64]:
    """The rows to time: evenly from the shortest to the longest, so that they stand for all."""
    order = np.argsort(lengths, kind="stable")
    return order[np.linspace(0, len(order) - 1, min(texts, len(order))).round().astype(np.int64)]


def machine() -> dict[str, str | int]:
    """What a latency was taken on: processor, cores, system; and how busy it was just now."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told: dict[str, str | int] = {
        "processor": _processor(),
        "cores": cores or 1,
        "system": f"{platform.system()} {platform.machine()}",
    }
    if hasattr(os, "getloadavg"):
        told["load"] = f"{os.getloadavg()[0]:.1f}"  # processes that wanted a core, last minute
    return told


def in_words(place: Mapping[str, str | int]) -> str:
    """The machine of `machine`, and whether it had other work, which makes latencies longer."""
    busy = float(place.get("load", 0)) > float(place["cores"])
    other = f"; it had other work at the time (load {place['load']})" if busy else ""
    return f"{place['processor']}, {place['cores']} cores, {place['system']}{other}"


def _timed(compute: Callable[[], object]) -> float:
    began = time.perf_counter()
    compute()
    return time.perf_counter() - began


def _latency(seconds: NDArray[np.float64], threads: int) -> Latency:
    """Of (rounds, texts)."""
    each = 1e3 * np.median(seconds, axis=0)
    low, median, high = np.percentile(each, [10, 50, 90]).tolist()
    return Latency(median, low, high, seconds.shape[1], threads)


def _processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.partition(":") for line in lines)
    named = {key.strip(): value.strip() for key, _, value in reversed(list(pairs))}
    return next((named[key] for key in _NAMES if key in named), platform.machine())
