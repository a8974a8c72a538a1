"""Rows whose texts are adversarial already, as AdvGLUE's (Wang et al. 2021, arXiv 2111.02840).

    robustness: {rows: adversarial.parquet}

Each is scored as it is. Such texts were made against other models, and tell how much of those
models' blindness a student shares: a distilled one has its teacher's. In our measurements the
attack on a teacher, reused on its students, put them in an order that has little to do with that of
an attack on each (Spearman 0.44 and 0.24), distilled ones last. So they are reported, as
`robust_static`, and are no objective.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tune_distill.errors import DataError
from tune_distill.files import write_atomically
from tune_distill.tasks import Rows, files, labels
from tune_distill.tasks.glue import glue_task

if TYPE_CHECKING:
    from tune_distill.spec import TaskSpec


def read(path: Path, key: str, text: Sequence[str], label: str, names: Sequence[str]) -> Rows:
    """The rows of a file whose labels are class numbers, or names in any case.

    Args:
        path: parquet, CSV, TSV or JSON lines.
        key: the place that names it, for messages.
        text: its text column, or the two of a pair.
        label: its label column.
        names: of the classes, by number.

    Raises:
        DataError: a column is missing, or a label is no class.
    """
    table = files.read(path, key)
    texts = tuple(table.text(column) for column in text)
    values = table.column(label, key)
    read = labels.plain(table, label, values, range(len(values)))
    (plain,) = labels.as_numbers([read])
    numbers: dict[labels.Label, int] = {name: number for number, name in enumerate(names)}
    numbers |= {number: number for number in range(len(names))}
    lowered = {name.casefold(): number for number, name in enumerate(names)}
    numbers |= {
        one: lowered[one.casefold()]
        for one in plain
        if isinstance(one, str) and one.casefold() in lowered
    }
    return Rows(texts, labels.encode(plain, numbers, table, label, range(len(plain))))


def columns(task: TaskSpec, where: str) -> tuple[str, ...]:
    """The text columns that rows beside a task's own have.

    Raises:
        DataError: the task names none.
    """
    if task.text is not None:
        return (task.text,) if isinstance(task.text, str) else task.text
    if task.builtin is not None:
        return ("text",)
    if task.dataset and (known := glue_task(task.dataset)):
        return known[1].text
    raise DataError(f"{where}: name its text column (or the two of a pair) in task.text")


def label(task: TaskSpec) -> str:
    """The label column of such rows."""
    return task.label if isinstance(task.label, str) else "label"


def keep(rows: Rows, folder: Path) -> Path:
    """File rows as JSON under a digest of their content, whole or not at all."""
    content = json.dumps([rows.texts, rows.labels.tolist()])
    path = folder / f"{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path


def opened(path: Path) -> Rows:
    """The rows that `keep` filed."""
    texts, classes = json.loads(path.read_text(encoding="utf-8"))
    return Rows(tuple(texts), np.array(classes, np.int64))
