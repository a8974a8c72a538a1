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
Storage = Annotated[Path, typer.Option("--storage", help="The folder that holds the studies.")]
Address = Annotated[
    str | None, typer.Option("--address", help="A Ray cluster; by default this machine.")
]
TrackingUri = Annotated[
    str | None, typer.Option("--tracking-uri", help="An MLflow server; by default SQLite.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

STORAGE = Path("studies")


def say(line: str) -> None:
    """One line of talk, to stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def opened(study: str, storage: Path) -> tuple[Any, dict[str, Any]]:
    """The folder of a study that has been started, and the document that it runs.

    Args:
        study: a folder, the name of a study under `storage`, a YAML file or a shipped name.
        storage: the folder that holds the studies.

    Returns:
        (StudyFolder, document)

    Raises:
        SpecError: nothing of that name was started there.
    """
    from tune_distill.errors import SpecError
    from tune_distill.folder import StudyFolder
    from tune_distill.spec.load import find, read, shipped

    for path in (Path(study), storage / study):
        if (path / "study.yaml").is_file():
            folder = StudyFolder(path)
            return folder, read(folder.study)
    if Path(study).is_file() or study in shipped():
        name = str(read(find(study)).get("name", ""))
        folder = StudyFolder(storage / name)
        if folder.study.is_file():
            return folder, read(folder.study)
        raise SpecError(
            f"{folder.path}: the study has not been started; run tune-distill search {study}"
        )
    started = sorted(p.parent.name for p in storage.glob("*/study.yaml"))
    listed = f"; started there are {', '.join(started)}" if started else ""
    raise SpecError(f"{study}: no such study under {storage}{listed}")
