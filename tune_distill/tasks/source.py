"""From a study's `task:` section to a task: what is read, and what its labels and metrics are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import DataError
from tune_distill.tasks import files, hub, label_sets
from tune_distill.tasks.glue import GlueTask, glue_task
from tune_distill.tasks.labels import classes, targets
from tune_distill.tasks.metrics import METRICS
from tune_distill.tasks.parts import Given, finished, parted
from tune_distill.tasks.rows import Rows, Task, kind_of
from tune_distill.tasks.split import capped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from tune_distill.methods.base import Kind
    from tune_distill.spec import TaskSpec
    from tune_distill.tasks.table import Table

_CALLED: dict[Kind, str] = {
    "single_label": "with one class a row",
    "multi_label": "with several labels a row",
    "regression": "of numbers",
}
_SETS = (
    "; several labels a row are a column of lists (parquet, JSON lines), or task.label names"
    " several columns of 0 and 1"
)


def load(spec: TaskSpec, splits: Path | None = None) -> Task:
    """Read a task and split it.

    The official validation split becomes `heldout` as it is; the official training split becomes
    `train` and `search`, which share no sentence (`split.py`).

    Args:
        spec: the section.
        splits: the folder where splits are kept; None makes them anew.

    Raises:
        DataError: the data are missing, unlabelled, not text, or of one class
    """
    if spec.builtin:
        return _builtin(spec)
    glue = None
    if spec.dataset:
        name, known = spec.dataset, glue_task(spec.dataset)
        glue = known[1] if known else None
        tables = hub.read(spec.dataset)
    elif spec.files:
        train = Path(spec.files.train)
        name = train.absolute().parent.name or train.stem
        paths = {"train": spec.files.train, "validation": spec.files.validation}
        tables = {key: files.read(Path(path), f"task.files.{key}") for key, path in paths.items()}
        for key, path in spec.files.more.items():
            tables[key] = files.read(Path(path), f"task.files.more.{key}")
    else:
        raise DataError("task: give exactly one of builtin, dataset, files; got none")
    return parted(_given(name, spec, glue, tables), spec, splits)


def _given(name: str, spec: TaskSpec, glue: GlueTask | None, tables: dict[str, Table]) -> Given:
    wanted = _wanted(spec, glue)
    text = _text_columns(spec, glue, tables["train"])
    texts = [tuple(table.text(column) for column in text) for table in tables.values()]
    labels, label_names = _labels(list(tables.values()), spec.label, wanted)
    train, heldout, *more = (Rows(*row) for row in zip(texts, labels, strict=True))
    return Given(
        name,
        text,
        train,
        heldout,
        {f"heldout_{key}": rows for key, rows in zip(list(tables)[2:], more, strict=True)},
        label_names,
        _metrics(wanted, kind_of(train.labels, label_names)),
    )


def _text_columns(spec: TaskSpec, glue: GlueTask | None, train: Table) -> tuple[str, ...]:
    if spec.text:
        return (spec.text,) if isinstance(spec.text, str) else spec.text
    if glue:
        return glue.text
    for usual in ("text", "sentence"):
        if usual in train.columns:
            return (usual,)
    raise DataError(
        f"task.text: name the text column (or the two of a pair) of {train.where};"
        f" it has {', '.join(train.columns)}"
    )


def _labels(
    tables: Sequence[Table], label: str | tuple[str, ...], metrics: tuple[str, ...]
) -> tuple[Sequence[NDArray[np.generic]], tuple[str, ...]]:
    """Return each table's labels, and the names of the classes; a regression has none."""
    if not isinstance(label, str):
        return label_sets.flags(tables, label), label
    if set(metrics) & set(METRICS["regression"]):
        return targets(tables, label), ()
    if label_sets.has_lists(tables[0], label):
        return label_sets.lists(tables, label)
    return classes(tables, label)


def metrics_of(spec: TaskSpec, kind: Kind) -> tuple[str, ...]:
    """Return the metrics of a task of this kind, the objective's first."""
    known = glue_task(spec.dataset) if spec.dataset else None
    return _metrics(_wanted(spec, known[1] if known else None), kind)


def _wanted(spec: TaskSpec, glue: GlueTask | None) -> tuple[str, ...]:
    """Return the metrics that a study asks for, and behind them GLUE's own; none: any will do."""
    asked = (spec.metric,) if isinstance(spec.metric, str) else spec.metric or ()
    own = glue.metrics if glue else ()
    return (*asked, *(metric for metric in own if metric not in asked))


def _metrics(wanted: tuple[str, ...], kind: Kind) -> tuple[str, ...]:
    """Return the metrics asked for, or the usual one of such a task."""
    for metric in wanted:
        if metric not in METRICS[kind]:
            raise DataError(
                f"task.metric: {metric} does not suit a task {_CALLED[kind]}, which is scored by"
                f" {' or '.join(METRICS[kind])}" + _SETS * metric.startswith("f1_")
            )
    return wanted or METRICS[kind][:1]


def _builtin(spec: TaskSpec) -> Task:
    """Return the built-in corpus, which comes in three splits that share nothing."""
    from tune_distill.tasks.builtin import reviews

    corpus = reviews.corpus()
    train, search, heldout = (
        Rows((list(made.texts),), made.labels)
        for made in (corpus.train, corpus.search, corpus.heldout)
    )
    names, metrics = tuple(corpus.label_names), metrics_of(spec, "single_label")
    given = Given("reviews", ("text",), train, heldout, {}, names, metrics)
    return finished(given, spec, search.take(capped(search, spec.search_rows, spec.seed)), ())
