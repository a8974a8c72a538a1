"""Tables on stdout: the front, and sample students."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tune_distill.spec.knobs import PLAIN

WIDE = 110  # columns of a terminal from which on a table shows everything


def front_table(data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints the trials of a front, the best of the first objective first; the knee is marked."""
    from tune_distill.plots.marks import letters

    console = stdout()
    if not rows:
        console.print(_none(data))
        return
    names = [o["name"] for o in data["objectives"]]
    table = plain_table("trial", *names)
    _student_columns(table, console)
    table.add_column("")
    first = data["objectives"][0]
    best = first["goal"] == "max"
    groups = letters(data)
    for row in sorted(rows, key=lambda r: r["objectives"][first["name"]], reverse=best):
        marks = ["knee"] if row["number"] == data["knee"] else []
        marks += ["dominated"] if row["dominated_by"] else []
        marks += ["at chance"] if row["at_chance"] else []
        marks += [f"not {bound}" for bound in row["breaks"]]
        marks += [f"tied {groups[row['number']]}"] if row["number"] in groups else []
        if tied := row.get("ties"):
            marks.append(f"robust_worst tied with {', '.join(map(str, tied))}")
        table.add_row(
            str(row["number"]),
            *(_measure(n, row) for n in names),
            *_student(row["params"], console),
            " ".join(marks),
            style=None if row["on_front"] else "dim",
        )
    console.print(table)
    if groups:
        console.print(
            "\ntied: intervals of the same letter overlap on every objective that has one"
        )
    if teacher := data.get("teacher"):
        told = "  ".join(f"{n} {shown(n, teacher[n])}" for n in names if n in teacher)
        console.print(f"\nteacher: {told}")
    for one in data.get("hardened", ()):
        told = "  ".join(f"{n} {shown(n, v)}" for n, v in one["measures"].items() if n in names)
        console.print(f"teacher hardened by {one['defence']}: {told}")
    states = ", ".join(f"{count} {state}" for state, count in data["counts"].items() if count)
    console.print(f"hypervolume: {data['hypervolume']:.4g} ({states})")


def _none(data: Mapping[str, Any]) -> str:
    """Why there is no row to show."""
    if not data["counts"]["complete"]:
        return "no trial of this study is complete yet"
    asked = " and ".join(data["constraints"])
    return (
        f"none of {data['counts']['complete']} complete trials satisfies {asked}; --all shows them"
    )


def sample_table(summary: Mapping[str, Any]) -> None:
    """Prints what a study is, and sample students of its space."""
    console = stdout()
    task, goals = summary["task"], summary["objectives"]
    console.print(
        f"study  {summary['study']}: {summary['trials']} trials, "
        + ", ".join(f"{goal} {name}" for name, goal in goals.items())
    )
    outputs = ", ".join(task["labels"]) or "regression"
    several = "any of " if task["kind"] == "multi_label" else ""
    train = f"{task['train']:,} train" + f" ({task['unlabelled']:,} unlabelled)" * bool(
        task["unlabelled"]
    )
    console.print(
        f"task   {task['name']} ({several}{outputs}; {task['metric']}): "
        f"{train}, {task['search']:,} search, {task['heldout']:,} held-out rows"
    )
    for one in summary["beforehand"]:
        console.print(f"before {one['what']}: at most {one['flops'] / 1e12:.3g} TFLOP")
    for name, setting in summary["enqueued"].items():
        knobs = (
            f"{path.rpartition('.')[2]} {f'{value:.3g}' if isinstance(value, float) else value}"
            for path, value in setting.items()
        )
        console.print(f"first  {name}: {', '.join(knobs)}")
    console.print()
    columns = ("parameters", "size", "FLOPs a text", "updates", "each", "training")
    table = plain_table(*columns, "teacher / student")
    _student_columns(table, console)
    for sample in summary["samples"]:
        table.add_row(
            shown("parameters", sample["parameters"]),
            f"{sample['size_mb']:.2f} MB",
            shown("flops", sample["flops"]),
            f"{sample['updates']:,}",
            f"{sample['update_cost']:.2f} x",
            f"{sample['training_flops'] / 1e12:.3g} TFLOP",
            f"{sample['teacher_flops_ratio']:.1f} x",
            *_student(sample["params"], console),
        )
    console.print(table)


def shown(name: str, value: float) -> str:
    """A measure as a person reads it."""
    if name in {"parameters", "flops"}:
        return f"{value / 1e6:.3g} M"
    return f"{value:.2f}" if name.endswith("_mb") else f"{value:.4f}"


def stdout() -> Console:
    """As wide as the terminal, or wide enough for a file."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def plain_table(*numbers: str) -> Table:
    """A table without lines, with columns of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _student_columns(table: Table, console: Console) -> None:
    wide = ["init", "learning rate"] if console.width >= WIDE else []
    for name in ("student", "method", *wide):
        table.add_column(name, no_wrap=True)


def _student(params: Mapping[str, Any], console: Console) -> list[str]:
    method = str(params["method"])
    knobs = [
        f"{knob.rpartition('.')[2]} {value:.3g}"
        for knob, value in params.items()
        if knob.startswith(f"method.{method}.") and isinstance(value, float)
    ]
    heads = f", {params['student.heads']} heads" if console.width >= WIDE else ""
    student = f"{params['student.layers']} x {params['student.hidden_size']}{heads}"
    vocab, checkpoint = (params.get(f"student.{knob}") for knob in ("vocab", "checkpoint"))
    family = params.get("student.family", "bert")
    student = student if family == "bert" else f"{family} {student}"
    student += f", {vocab:,} tokens" if isinstance(vocab, int) else ""
    student += f" of {checkpoint}" if checkpoint else ""
    wide = [str(params["student.init"]), f"{params['train.learning_rate']:.2g}"]
    robust = params.get("robust", PLAIN)
    stage = params.get(f"robust.{robust}.stage", "during")
    defence = [] if robust == PLAIN else [f"+ {robust}" + f" ({stage})" * (stage != "during")]
    return [student, " ".join([method, *knobs, *defence]), *(wide if console.width >= WIDE else [])]


def _measure(name: str, row: Mapping[str, Any]) -> str:
    text = shown(name, row["objectives"][name])
    if interval := row["intervals"].get(name):
        text += f" ±{(interval[1] - interval[0]) / 2:.3f}"
    return text
