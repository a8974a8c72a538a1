"""Tables on stdout: the front, sample students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

UNITS = {"size_mb": "MB", "flops": "FLOPs", "latency_ms": "ms"}


def front_table(data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the trials of a front, best accuracy first; the knee is marked."""
    names = [o["name"] for o in data["objectives"]]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("trial", justify="right")
    for name in names:
        table.add_column(name, justify="right")
    for name in ("student", "init", "method", "learning rate"):
        table.add_column(name)
    table.add_column("")
    best_first = sorted(rows, key=lambda r: tuple(-r["objectives"][n] for n in names))
    for row in best_first:
        marks = ["knee"] if row["number"] == data["knee"] else []
        marks += [] if row["on_front"] else ["dominated"]
        table.add_row(
            str(row["number"]),
            *(_measure(n, row) for n in names),
            *_student(row["params"]),
            " ".join(marks),
            style=None if row["on_front"] else "dim",
        )
    console = Console(highlight=False)
    console.print(table if rows else "no trial of this study is complete yet")
    if teacher := data.get("teacher"):
        told = "  ".join(f"{n} {shown(n, teacher[n])}" for n in names if n in teacher)
        console.print(f"\nteacher  {told}")
    console.print(f"hypervolume {data['hypervolume']:.4g} of {_states(data['counts'])}")


def shown(name: str, value: float) -> str:
    """A measure as a person reads it."""
    if name == "parameters":
        return f"{value / 1e6:.2f} M"
    if name == "flops":
        return f"{value / 1e6:.3g} M"
    if name.endswith("_mb"):
        return f"{value:.2f}"
    return f"{value:.4f}"


def _measure(name: str, row: Mapping[str, Any]) -> str:
    value, interval = row["objectives"][name], row["intervals"].get(name)
    text = shown(name, value)
    if interval:
        half = (interval[1] - interval[0]) / 2
        text += f" ±{half:.3f}"
    return text


def _student(params: Mapping[str, Any]) -> tuple[str, str, str, str]:
    method = str(params["method"])
    knobs = [
        f"{knob.rpartition('.')[2]} {value:.3g}"
        for knob, value in params.items()
        if knob.startswith(f"method.{method}.") and isinstance(value, float)
    ]
    return (
        f"{params['student.layers']} x {params['student.hidden_size']}, "
        f"{params['student.heads']} heads",
        f"{params['student.init']}",
        " ".join([method, *knobs]),
        f"{params['train.learning_rate']:.2g}",
    )


def _states(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def sample_table(summary: Mapping[str, Any]) -> None:
    """Prints what a study is, and sample students of its space."""
    task = summary["task"]
    console = Console(highlight=False)
    console.print(
        f"study       {summary['study']}: {summary['trials']} trials for "
        + ", ".join(f"{goal} {name}" for name, goal in summary["objectives"].items())
    )
    console.print(
        f"task        {task['name']} ({task['metric']}; {', '.join(task['labels']) or 'regression'})"
        f": {task['train']:,} train, {task['search']:,} search, {task['heldout']:,} held-out rows\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("student", "init", "method", "learning rate"):
        table.add_column(name)
    for name in ("parameters", "size", "FLOPs a text", "training", "teacher costs"):
        table.add_column(name, justify="right")
    for sample in summary["samples"]:
        table.add_row(
            *_student(sample["params"]),
            shown("parameters", sample["parameters"]),
            f"{sample['size_mb']:.2f} MB",
            shown("flops", sample["flops"]),
            f"{sample['training_flops'] / 1e12:.3g} TFLOP",
            f"{sample['teacher_flops_ratio']:.1f} x",
        )
    console.print(table)
