"""Data sets of the Hugging Face hub as tables.

`glue/sst2` (or any task of GLUE) is known by name; elsewhere `name`, `owner/name` and
`owner/name/configuration`. The held-out split is the official validation split; a data set without
one is read by its test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_distill.errors import DataError
from tune_distill.tasks.glue import GlueTask, glue_task
from tune_distill.tasks.table import Table

_HELD_OUT = ("validation", "dev", "test")


def read(dataset: str) -> dict[str, Table]:
    """Return the tables of a hub data set: train, validation, and further held-out ones."""
    known = glue_task(dataset)
    path, configuration = ("nyu-mll/glue", known[0]) if known else _parts(dataset)
    splits = _download(dataset, path, configuration)
    wanted = (known[1].validation,) if known else _HELD_OUT
    more = known[1].more if known else {}
    heldout = next((name for name in wanted if name in splits), None)
    if heldout is None or not {"train", *more.values()} <= set(splits):
        raise DataError(
            f"task.dataset: {dataset} has the splits {', '.join(splits)}; needed are"
            f" {', '.join(['train', *more.values()])} and one of {', '.join(wanted)}. Save them as"
            " files and use task.files"
        )
    glue = known[1] if known else None
    read = {"train": "train", "validation": heldout, **more}
    return {name: _table(dataset, split, splits[split], glue) for name, split in read.items()}


def _parts(dataset: str) -> tuple[str, str | None]:
    parts = dataset.split("/")
    if len(parts) > 3 or not all(parts) or Path(dataset).exists():
        raise DataError(
            f"task.dataset: {dataset!r} is no data set of the hub; give glue/TASK, owner/name or"
            " owner/name/configuration, or local files by task.files"
        )
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


def _download(dataset: str, path: str, configuration: str | None) -> Mapping[str, Any]:
    import datasets

    try:
        splits: Mapping[str, Any] = datasets.load_dataset(path, name=configuration)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        # OSError: no connection, nothing in the local cache, no such data set;
        # ValueError: no such configuration, or an impossible name.
        raise DataError(
            f"task.dataset: {dataset} could not be loaded from the Hugging Face hub: {error}."
            " Without a connection, give local parquet, CSV, TSV or JSON lines:"
            " task: {files: {train: ..., validation: ...}, text: ..., label: ...}"
        ) from error
    return splits


def _table(dataset: str, split: str, rows: Any, glue: GlueTask | None) -> Table:  # noqa: ANN401 - datasets.Dataset has no types
    inner = {column: getattr(one, "feature", one) for column, one in rows.features.items()}
    names = {
        column: tuple(feature.names)
        for column, feature in inner.items()  # of what a list holds, where it is one
        if getattr(feature, "names", None)
    }
    if glue and glue.label_names:
        names.setdefault("label", glue.label_names)
    return Table(
        f"task.dataset ({dataset}, {split})",
        tuple(rows.column_names),
        lambda name: list(rows[name]),
        names,
    )
