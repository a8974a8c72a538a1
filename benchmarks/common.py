"""What benchmarks of speed share: a clock, a small study, a table. Imports nothing of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def small(name: str, rows: int, methods: Sequence[str]) -> dict[str, Any]:
    """A study of one shape of student; its task and teacher are to be given."""
    return {
        "name": name,
        "task": {"max_train_rows": rows},
        "teacher": {},
        "space": {
            "student": {"layers": [2], "hidden_size": [128], "heads": [4]},
            "method": list(methods),
        },
        "objectives": {"accuracy": {"goal": "max", "reference": 0.5}},
    }


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints Markdown, a row as soon as it is there."""
    print(f"\n| {' | '.join(header)} |\n{'|---' * len(header)}|", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
