"""`tune-distill teacher fit | check | cache`: what a search does before its first trial."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from tune_distill.cli.options import STORAGE, Json, Overrides, Storage, say

app = typer.Typer(no_args_is_help=True, help="Fit, check or cache a study's teacher.")

Study = typer.Argument(help="A study: YAML file or shipped name.")


@app.command("fit")
def fit(
    study: str = Study,
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    storage: Storage = STORAGE,
) -> None:
    """Fine-tune the teacher on the task, or find it in the cache; print its folder."""
    from tune_distill import prepare
    from tune_distill.spec.load import find, load

    spec = load(find(study), overrides)
    typer.echo(str(prepare.prepare_teacher(spec, storage / "cache", say).folder))


@app.command("check")
def check(
    study: str = Study,
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Measure the teacher on the search split; refuse one that has not learned the task."""
    from tune_distill import prepare
    from tune_distill.spec.load import find, load

    spec = load(find(study), overrides)
    found = prepare.prepare_teacher(spec, storage / "cache", say).check
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
    from tune_distill.spec.load import find, load

    inputs = prepare.prepare(load(find(study), overrides), storage / "cache", say)
    typer.echo(str(inputs.signals or "no method of this study has a use for a teacher's signals"))
