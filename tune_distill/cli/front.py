"""`tune-distill front` shows a study's front; `status` how far its search has come."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
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
    """Show the students that no other student beats on every objective."""
    from tune_distill.cli.tables import front_table

    data = _data(study, storage)
    _mark_ties(data, opened(study, storage)[0])
    if html is not None:
        from tune_distill.folder import write_atomically
        from tune_distill.plots import report

        write_atomically(html, report(data))
        say(f"report: {html}")
    rows = [t for t in data["trials"] if everything or t["on_front"]]
    if as_json:
        typer.echo(json.dumps({**data, "trials": rows}, indent=2))
    elif as_csv:
        typer.echo(_csv(rows), nl=False)
    elif html is None or sys.stdout.isatty():
        front_table(data, rows)


def status(study: Study, storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show a search's progress: trials by state, the front's size and hypervolume."""
    from tune_distill.lock import owner

    folder, document = opened(study, storage)
    data = _data(study, storage)
    wanted = int((document.get("search") or {}).get("trials", 20))
    running = owner(folder.path / "lock")
    summary = {
        "study": document["name"],
        "folder": str(folder.path),
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


def _data(study: str, storage: Path) -> dict[str, Any]:
    from tune_distill.plots import front_data
    from tune_distill.spec import resolve

    folder, document = opened(study, storage)
    spec = resolve(document)
    outcome = folder.teacher()
    teacher = outcome.measures() if outcome else None
    data = front_data(folder.records(), spec.axes, teacher, spec.name, spec.bounds)
    data["hardened"] = [
        {"defence": defence.shown, "measures": one.measures()} for defence, one in folder.hardened()
    ]
    return data


def _mark_ties(data: dict[str, Any], folder: StudyFolder) -> None:
    """Writes to each trial of the front which others can't be told from it in robustness."""
    from tune_distill.measure.attack_rows import FILE, ties

    if "robust_worst" not in {objective["name"] for objective in data["objectives"]}:
        return
    files = {number: folder.trial(number) / FILE for number in data["front"]}
    found = ties({number: file for number, file in files.items() if file.is_file()})
    for row in data["trials"]:
        row["ties"] = found.get(row["number"], [])


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    flat = [
        {
            "trial": row["number"],
            "on_front": row["on_front"],
            **row["objectives"],
            **row["params"],
        }
        for row in rows
    ]
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _shown(value: object) -> str:
    if isinstance(value, dict):  # who runs it
        return f"process {value['pid']} on {value['host']}, since {value['since']}"
    if value is None:
        return "no"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
