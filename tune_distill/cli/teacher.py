"""`tune-distill teacher fit | check | cache`: what a search does before its first trial."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from tune_distill.cli.options import STORAGE, Json, Overrides, Storage, say

if TYPE_CHECKING:
    from tune_distill.prepare import CheckedTeacher
    from tune_distill.spec import StudySpec

app = typer.Typer(no_args_is_help=True, help="Fit, check or cache a study's teacher.")

Study = typer.Argument(help="A study: YAML file or shipped name.")


@app.command("fit")
def fit(
    study: str = Study,
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    storage: Storage = STORAGE,
) -> None:
    """Fine-tune the teacher on the task, or find it in the cache; print its folder."""
    from tune_distill.spec.load import find, load

    typer.echo(str(_checked(load(find(study), overrides), storage).folder))


@app.command("check")
def check(
    study: str = Study,
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Measure the teacher on the search split; refuse one that has not learned the task."""
    from tune_distill.spec.load import find, load

    found = _checked(load(find(study), overrides), storage).check
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    span = found.interval
    shown = f" (95 % interval {span.low:.4f} to {span.high:.4f})" if span else ""
    typer.echo(
        f"{found.metric} {found.score:.4f}{shown} on {found.rows:,} rows of the search split; "
        f"the floor is {found.floor:.4f}"
    )


@app.command("cache")
def cache(
    study: str = Study,
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    storage: Storage = STORAGE,
) -> None:
    """Compute the teacher's signals that the study's methods need; print their folder."""
    from tune_distill import prepare
    from tune_distill.launch.preparing import Kept
    from tune_distill.spec.load import find, load
    from tune_distill.storage import at

    spec = load(find(study), overrides)
    folder = at(storage).study(spec.name)
    inputs = Kept(prepare.prepare, folder)(spec, folder.cache, say).opened()
    typer.echo(str(inputs.signals or "no method of this study has a use for a teacher's signals"))


def _checked(spec: StudySpec, storage: str) -> CheckedTeacher:
    from tune_distill import prepare
    from tune_distill.storage import at

    folder = at(storage).study(spec.name)
    folder.borrow(spec)
    found = prepare.prepare_teacher(spec, folder.cache, say)
    folder.lend(spec, [found.folder, found.task.folder])
    return found
