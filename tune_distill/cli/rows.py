"""The labelled rows that `tune-distill attack` reads: a study's task, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.cli.options import say
from tune_distill.errors import DataError

if TYPE_CHECKING:
    from tune_distill.spec import StudySpec
    from tune_distill.tasks import Rows


@dataclass(frozen=True)
class Given:
    """Rows, and what they are called."""

    rows: Rows
    columns: tuple[str, ...]
    names: tuple[str, ...]  # of the classes
    max_length: int  # tokens
    where: str


def of_study(spec: StudySpec, split: str, classes: Sequence[str]) -> Given:
    """The rows of a study's task, in one of its splits.

    Args:
        spec: the study.
        split: search or heldout.
        classes: what the model calls its classes.

    Raises:
        DataError: the model's classes are not the task's.
    """
    from tune_distill import tasks
    from tune_distill.teacher.suit import disordered

    task = tasks.load(spec.task)
    if task.kind != "single_label":
        raise DataError(f"{task.name}: an attack needs one class a row, this task has {task.kind}")
    if len(classes) != len(task.label_names) or disordered(classes, task.label_names):
        raise DataError(
            f"the model's classes are {', '.join(classes)}, those of {task.name}"
            f" {', '.join(task.label_names)}, by number"
        )
    if split not in task.splits():
        raise DataError(f"--split {split}: {task.name} has {', '.join(task.splits())}")
    if split != "search":
        say(f"note: {split} is for the last word on a model; the search split is for choosing")
    text = spec.task.text or "text"
    columns: tuple[str, ...] = (text,) if isinstance(text, str) else text
    rows = task.splits()[split]
    if len(columns) != len(rows.texts):  # GLUE's own names
        columns = tuple(f"text_{n + 1}" for n in range(len(rows.texts)))
    where = f"{task.name}, {split} split"
    return Given(rows, columns, task.label_names, spec.task.max_length, where)


def of_file(
    path: Path, text: Sequence[str], label: str, max_length: int, classes: Sequence[str]
) -> Given:
    """The rows of a file whose labels are the model's class numbers or names.

    Raises:
        DataError: a column is missing, or a label is no class of the model.
    """
    from tune_distill.robustness.static import read

    rows = read(path, "--rows", text, label, classes)
    return Given(rows, tuple(text), tuple(classes), max_length, str(path))
