"""`tune-distill submit`: a search as a Ray job, on a cluster that goes on without this terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tune_distill.cli.options import Json, Overrides, say


def submit(
    study: Annotated[str, typer.Argument(help="A study: YAML file or shipped name.")],
    address: Annotated[
        str, typer.Option("--address", help="The cluster's dashboard: http://HEAD:8265.")
    ],
    storage: Annotated[
        str, typer.Option("--storage", help="A folder that every node of the cluster sees.")
    ],
    tracking_uri: Annotated[
        str, typer.Option("--tracking-uri", help="An MLflow server that the head reaches.")
    ],
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    trials: Annotated[int | None, typer.Option("--trials", help="How many trials.")] = None,
    wheel: Annotated[
        Path | None, typer.Option("--wheel", help="Our code; by default as it runs here.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show what the job says until it ends.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Run a search on a Ray cluster as a job; the same command resumes it."""
    from tune_distill.launch.submit import Submission, follow
    from tune_distill.launch.submit import submit as launch
    from tune_distill.spec import resolve
    from tune_distill.spec.load import find, read

    more = [] if trials is None else [f"search.trials={trials}"]
    document = read(find(study), [*overrides, *more])
    spec = resolve(document)
    job = launch(address, Submission(document, storage, tracking_uri, wheel), say)
    if as_json:
        typer.echo(json.dumps({"job": job, "address": address, "study": spec.name}))
    say(f"job {job}; to watch it: ray job logs --address {address} --follow {job}")
    say(f"to stop it: ray job stop --address {address} {job} (submit again: it goes on)")
    if wait:
        for line in follow(address, job):
            say(line)
