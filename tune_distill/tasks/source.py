"""From a study's `task:` section to a task: read, check, split, cap."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import DataError
from tune_distill.tasks import files, hub
from tune_distill.tasks.glue import GlueTask, glue_task
from tune_distill.tasks.labels import classes, several_classes, targets
from tune_distill.tasks.rows import DataWarning, Rows, Task, digest
from tune_distill.tasks.split import capped, split

if TYPE_CHECKING:
    from tune_distill.spec import TaskSpec
    from tune_distill.tasks.table import Table

REGRESSION_METRICS = ("pearson", "spearman")
_SHARED = 0.01  # a larger share of a split's texts in another one is worth a warning
_DROPPED = 1 / 3  # likewise, of the training rows


def load(spec: TaskSpec) -> Task:
    """Read a task and split it.

    The official validation split becomes `heldout` as it is; the official training split becomes
    `train` and `search`, which share no sentence (`split.py`).

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
        train, validation = Path(spec.files.train), Path(spec.files.validation)
        name = train.absolute().parent.name or train.stem
        tables = (
            files.read(train, "task.files.train"),
            files.read(validation, "task.files.validation"),
        )
    else:
        raise DataError("task: give exactly one of builtin, dataset, files; got none")
    metric = spec.metric or (glue.metric if glue else "accuracy")
    text = _text_columns(spec, glue, tables[0])
    (given, heldout), label_names = _read_rows(tables, text, spec.label, metric)
    return _parted(name, spec, given, heldout, label_names, metric)


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


def _read_rows(
    tables: tuple[Table, Table], text: tuple[str, ...], label: str, metric: str
) -> tuple[list[Rows], tuple[str, ...]]:
    texts = [tuple(table.text(column) for column in text) for table in tables]
    if metric in REGRESSION_METRICS:
        return [Rows(*row) for row in zip(texts, targets(tables, label), strict=True)], ()
    labels, names = classes(tables, label)
    return [Rows(*row) for row in zip(texts, labels, strict=True)], names


def _parted(
    name: str,
    spec: TaskSpec,
    given: Rows,
    heldout: Rows,
    label_names: tuple[str, ...],
    metric: str,
) -> Task:
    part = split(given, spec.search_rows, spec.seed)
    train, search = given.take(part.train), given.take(part.search)
    if not len(train):
        raise DataError(f"task {name}: no row is left to train on; {part.note}")
    if label_names:
        several_classes(train.labels, label_names, f"task {name}, its remaining training rows")
        hint = "its search rows (a larger task.search_rows draws more)"
        several_classes(search.labels, label_names, f"task {name}, {hint}")
    if part.related > _DROPPED * len(given):
        warnings.warn(
            f"task {name}: {part.related:,} of {len(given):,} training rows are dropped, since they"
            " share sentences with the search rows; a smaller task.search_rows keeps more",
            DataWarning,
            stacklevel=2,
        )
    return _finished(name, spec, (train, search, heldout), label_names, metric, (part.note,))


def _finished(
    name: str,
    spec: TaskSpec,
    splits: tuple[Rows, Rows, Rows],
    label_names: tuple[str, ...],
    metric: str,
    notes: tuple[str, ...],
) -> Task:
    """Cap the training rows, warn of texts that two splits share, and take the digest."""
    train, search, heldout = splits
    kept = capped(train, spec.max_train_rows, spec.seed)
    if len(kept) < len(train):
        notes += (
            f"task.max_train_rows: {len(kept):,} of {len(train):,} training rows kept, by content"
            " hash, each class its share; phrases and sentences alike",
        )
        train = train.take(kept)
    _warn_of_shared(name, {"train": train, "search": search, "heldout": heldout})
    sha256 = digest((train, search, heldout), label_names)
    return Task(name, train, search, heldout, label_names, metric, sha256, notes)


def _warn_of_shared(name: str, splits: dict[str, Rows]) -> None:
    keys = {
        split: [" ".join(" ".join(row).casefold().split()) for row in zip(*rows.texts, strict=True)]
        for split, rows in splits.items()
    }
    members = {split: set(texts) for split, texts in keys.items()}
    for one, other in itertools.permutations(keys, 2):
        shared = sum(text in members[other] for text in keys[one])
        if shared > _SHARED * len(keys[one]):
            warnings.warn(
                f"task {name}: {shared:,} of the {len(keys[one]):,} {one} rows"
                f" ({shared / len(keys[one]):.1%}) are also in {other}; what is measured on either"
                " is flattered",
                DataWarning,
                stacklevel=2,
            )


def _builtin(spec: TaskSpec) -> Task:
    """Return the built-in corpus, which comes in three splits that share nothing."""
    from tune_distill.tasks.builtin import reviews

    corpus = reviews.corpus()
    train, search, heldout = (
        Rows((list(made.texts),), made.labels)
        for made in (corpus.train, corpus.search, corpus.heldout)
    )
    search = search.take(capped(search, spec.search_rows, spec.seed))
    return _finished(
        "reviews",
        spec,
        (train, search, heldout),
        tuple(corpus.label_names),
        spec.metric or "accuracy",
        (),
    )
