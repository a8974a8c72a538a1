"""Arguments and options that several commands share, and the study that they name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

Study = Annotated[str, typer.Argument(help="A study: YAML file, shipped name, name or folder.")]
Overrides = Annotated[
    list[str], typer.Option("--set", help="Override a key of the study, as in search.trials=8.")
]
Storage = Annotated[
    str,
    typer.Option("--storage", help="Where studies live: a folder, or s3://BUCKET/PATH, gs:// ."),
]
Address = Annotated[
    str | None, typer.Option("--address", help="A Ray cluster; by default this machine.")
]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", help="An MLflow server; by default SQLite.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

STORAGE = "studies"


def say(line: str) -> None:
    """One line of talk, to stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def opened(study: str, storage: str) -> tuple[Any, dict[str, Any]]:
    """The folder of a study that has been started, and the document that it runs.

    Args:
        study: a folder, the name of a study under `storage`, a YAML file or a shipped name.
        storage: where the studies are, as `--storage` takes it.

    Returns:
        (StudyFolder, document)

    Raises:
        SpecError: nothing of that name was started there.
    """
    from tune_distill.errors import SpecError
    from tune_distill.folder import StudyFolder
    from tune_distill.spec.load import find, read, shipped
    from tune_distill.storage import at

    place = at(storage)
    for folder in (StudyFolder(Path(study)), place.study(study)):
        if folder.begun():
            folder.pull()
            return folder, read(folder.study)
    if Path(study).is_file() or study in shipped():
        name = str(read(find(study)).get("name", ""))
        folder = place.study(name)
        if folder.begun():
            folder.pull()
            return folder, read(folder.study)
        raise SpecError(
            f"{storage}/{name}: the study has not been started; run tune-distill search {study}"
        )
    started = place.names()
    listed = f"; started there are {', '.join(started)}" if started else ""
    raise SpecError(f"{study}: no such study under {storage}{listed}")
