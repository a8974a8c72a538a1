"""Few labels: most training rows lose theirs, and stand behind the others as texts without labels.

Which rows keep theirs depends on their content alone, each class its share (`split.capped`), so it
is the same for every trial, teacher and student; more labels keep all that fewer kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tune_distill.tasks.labels import several_classes
from tune_distill.tasks.rows import Rows
from tune_distill.tasks.split import capped
from tune_distill.tasks.unlabelled import missing

if TYPE_CHECKING:
    from tune_distill.spec import TaskSpec


def hidden(train: Rows, spec: TaskSpec, names: tuple[str, ...]) -> tuple[Rows, tuple[str, ...]]:
    """Return the training rows with as many labels as a study leaves them, and a note of it.

    train: all with a label
    names: of the classes; empty for a regression

    Raises:
        DataError: the rows that keep their label are of one class
    """
    kept = capped(train, _wanted(len(train), spec), spec.seed)
    if len(kept) == len(train):
        return train, ()
    key = "task.label_share" if spec.labelled_rows is None else "task.labelled_rows"
    if names:
        several_classes(train.labels[kept], names, f"{key}, the rows that keep their label")
    rest = np.setdiff1d(np.arange(len(train)), kept)
    rows = train.take(np.concatenate((kept, rest)))
    labels = np.concatenate((train.labels[kept], missing(train.labels, len(rest))))
    note = (
        f"{key}: {len(kept):,} of {len(train):,} training rows keep their label, by content hash,"
        " each class its share; the others are texts without labels"
    )
    return Rows(rows.texts, labels), (note,)


def _wanted(rows: int, spec: TaskSpec) -> int | None:
    if spec.label_share is None:
        return spec.labelled_rows
    return max(1, round(spec.label_share * rows))
