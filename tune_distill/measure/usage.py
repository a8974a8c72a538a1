"""What a trial uses of its machine, between two of its rungs; asked for, it is charted by MLflow.

cpu_utilization_percentage     of all the machine's processors, by whomever
system_memory_usage_megabytes  of the machine
process_cpu_percentage         of the trial's own process: 100 is one processor
process_memory_megabytes       resident, at the rung
gpu_memory_megabytes           of the process's tensors, at most; on a GPU

The first two have MLflow's own names. All of them are differences of counters that the system
keeps, so an epoch's mean is exact and nothing has to sample. What the system doesn't tell is left
out: without /proc (on macOS) all but `process_cpu_percentage`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import torch

_PROC = Path("/proc")
_MEGABYTE = 1e6  # bytes


class Usage:
    """The counters of one process, since it was made or read last.

    Args:
        device: where the trial trains.
        proc: the system's own files.
    """

    def __init__(self, device: str = "cpu", proc: Path = _PROC) -> None:
        self._cuda, self._proc = device.startswith("cuda"), proc
        self._own, self._machine = self._counters(), _machine(proc)

    def read(self) -> dict[str, float]:
        """Means since the last time, and memory as it is; by name."""
        (wall, worked), (wall_before, worked_before) = self._counters(), self._own
        busy, before = _machine(self._proc), self._machine
        self._own, self._machine = (wall, worked), busy
        used = {"process_cpu_percentage": 100 * (worked - worked_before) / (wall - wall_before)}
        if busy and before and busy[1] > before[1]:
            share = (busy[0] - before[0]) / (busy[1] - before[1])
            used["cpu_utilization_percentage"] = 100 * share
        return used | _memory(self._proc) | self._gpu()

    def _counters(self) -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    def _gpu(self) -> dict[str, float]:
        if not self._cuda:
            return {}
        most = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return {"gpu_memory_megabytes": most / _MEGABYTE}


def _machine(proc: Path) -> tuple[int, int] | None:
    """Ticks of all processors: (busy, all); `man 5 proc_stat`."""
    file = proc / "stat"
    if not file.exists():
        return None
    user, nice, system, idle, waiting, *others = map(
        int, file.read_text().split("\n")[0].split()[1:9]
    )
    busy = user + nice + system + sum(others)
    return busy, busy + idle + waiting


def _memory(proc: Path) -> dict[str, float]:
    if not (proc / "meminfo").exists():
        return {}
    lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
    sizes = {name.rstrip(":"): int(value) * 1024 for name, value, *_ in lines}  # bytes
    pages = int((proc / "self" / "statm").read_text().split()[1])
    return {
        "system_memory_usage_megabytes": (sizes["MemTotal"] - sizes["MemAvailable"]) / _MEGABYTE,
        "process_memory_megabytes": pages * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE,
    }
