"""`tune-distill front` shows a study's front; `status` how far its search has come."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tune_distill.cli.options import STORAGE, Json, Storage, Study, opened, say

if TYPE_CHECKING:
    from tune_distill.folder import StudyFolder


def front(
    study: Study,
    storage: Storage = STORAGE,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report here.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the dominated trials, too.")
    ] = False,
) -> None:
    """Show the students that no other student beats on every objective.

    --json and --csv have every trial that ended, as front.json does.
    """
    from tune_distill.cli.tables import front_table
    from tune_distill.plots import as_json as written
    from tune_distill.plots.data import measured

    folder, document = opened(study, storage)
    data = _data(folder, document)
    if html is not None:
        _report(html, data, document)
    if as_json:
        typer.echo(written(data))
    elif as_csv:
        from tune_distill.plots.csv import as_csv as table

        typer.echo(table(data), nl=False)
    elif html is None or sys.stdout.isatty():
        front_table(data, [t for t in measured(data) if everything or t["on_front"]])


def _report(path: Path, data: dict[str, Any], document: dict[str, Any]) -> None:
    from tune_distill.files import write_atomically
    from tune_distill.plots import report, students

    write_atomically(path, report(data, students(document, data)))
    say(f"report: {path}")


def status(study: Study, storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show a search's progress: trials by state, the front's size and hypervolume."""
    folder, document = opened(study, storage)
    data = _data(folder, document)
    wanted = int((document.get("search") or {}).get("trials", 20))
    running = folder.owner()
    summary = {
        "study": document["name"],
        "folder": folder.shown,
        "running": running and vars(running),
        "trials": wanted,
        **data["counts"],
        "front": sum(t["on_front"] for t in data["trials"]),
        "hypervolume": data["hypervolume"],
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    for name, value in summary.items():
        typer.echo(f"{name:<12} {_shown(value)}")


def _data(folder: StudyFolder, document: dict[str, Any]) -> dict[str, Any]:
    from tune_distill.plots import study_data
    from tune_distill.spec import resolve

    return study_data(folder, resolve(document))


def _shown(value: object) -> str:
    if isinstance(value, dict):  # who runs it
        return f"process {value['pid']} on {value['host']}, since {value['since']}"
    if value is None:
        return "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
