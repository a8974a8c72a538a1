"""From the rows that were read to a task: split, cap, add unlabelled texts, warn, digest."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import DataError
from tune_distill.tasks.hidden import hidden
from tune_distill.tasks.labels import several_classes
from tune_distill.tasks.once import split_once
from tune_distill.tasks.rows import DataWarning, Rows, Task, digest
from tune_distill.tasks.split import capped
from tune_distill.tasks.unlabelled import unlabelled

if TYPE_CHECKING:
    from tune_distill.spec import TaskSpec

_SHARED = 0.01  # a larger share of a split's texts in another one is worth a warning
_DROPPED = 1 / 3  # likewise, of the training rows


@dataclass(frozen=True)
class Given:
    """A task as its source has it.

    text: the text columns' names
    more: held-out splits beside the first one, by their names in the task
    metrics: the objective's first
    """

    name: str
    text: tuple[str, ...]
    train: Rows
    heldout: Rows
    more: Mapping[str, Rows]
    label_names: tuple[str, ...]
    metrics: tuple[str, ...]


def parted(given: Given, spec: TaskSpec, splits: Path | None) -> Task:
    """Split the training rows into train and search; splits: the folder where they are kept."""
    name, names, rows = given.name, given.label_names, given.train
    part = split_once(rows, spec.search_rows, spec.seed, splits)
    train, search = rows.take(part.train), rows.take(part.search)
    if not len(train):
        raise DataError(f"task {name}: no row is left to train on; {part.note}")
    if names:
        several_classes(train.labels, names, f"task {name}, its remaining training rows")
        hint = "its search rows (a larger task.search_rows draws more)"
        several_classes(search.labels, names, f"task {name}, {hint}")
    if part.related > _DROPPED * len(rows):
        warnings.warn(
            f"task {name}: {part.related:,} of {len(rows):,} training rows are dropped, since they"
            " share sentences with the search rows; a smaller task.search_rows keeps more",
            DataWarning,
            stacklevel=2,
        )
    return finished(replace(given, train=train), spec, search, (part.note,))


def finished(given: Given, spec: TaskSpec, search: Rows, notes: tuple[str, ...]) -> Task:
    """Cap the training rows, add those without labels, and warn of texts that two splits share."""
    train = given.train
    kept = capped(train, spec.max_train_rows, spec.seed)
    if len(kept) < len(train):
        notes += (
            f"task.max_train_rows: {len(kept):,} of {len(train):,} training rows kept, by content"
            " hash, each class its share; phrases and sentences alike",
        )
        train = train.take(kept)
    train, note_of_labels = hidden(train, spec, given.label_names)
    notes += note_of_labels
    evaluated = {"search": search, "heldout": given.heldout, **given.more}
    if spec.unlabelled:
        train, note = unlabelled(spec.unlabelled, given.text, train, evaluated.values())
        notes += (note,)
    splits = {"train": train, **evaluated}
    _warn_of_shared(given.name, splits)
    metric, *further = given.metrics
    return Task(
        given.name,
        train,
        search,
        given.heldout,
        given.label_names,
        metric,
        digest(splits.values(), given.label_names),
        notes,
        given.more,
        tuple(further),
    )


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
