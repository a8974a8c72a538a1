"""`tune-distill search`: runs a study, or what is left of it."""

from __future__ import annotations

import json
import shlex
import sys
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import typer

from tune_distill.cli.options import STORAGE, Address, Json, Overrides, Storage, TrackingUri, say

if TYPE_CHECKING:
    from tune_distill.launch.standing import Standing
    from tune_distill.spec import StudySpec


def search(
    study: Annotated[str, typer.Argument(help="A study: YAML file or shipped name.")],
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    trials: Annotated[int | None, typer.Option("--trials", help="How many trials.")] = None,
    storage: Storage = STORAGE,
    address: Address = None,
    tracking_uri: TrackingUri = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Move an earlier run aside and begin again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a study, or what is left of it: the same command resumes."""
    from tune_distill import draws, prepare, trial
    from tune_distill.cli.watch import watched
    from tune_distill.front import Front
    from tune_distill.launch.nodes import require_server
    from tune_distill.launch.search import search as launch
    from tune_distill.spec import resolve
    from tune_distill.spec.load import find, read

    more = [] if trials is None else [f"search.trials={trials}"]
    document = read(find(study), [*overrides, *more])
    spec = resolve(document)
    try:
        standing = launch(
            spec,
            document,
            storage,
            prepare=prepare.prepare,
            run=trial.run,
            read_rungs=trial.read_rungs,
            infeasible=partial(draws.infeasible, spec),
            known=draws.known,
            listen=lambda folder, inputs: watched(
                spec, document, folder, inputs, tracking_uri, again()
            ),
            check=partial(require_server, tracking_uri),
            say=say,
            address=address,
            fresh=fresh,
            preload=["tune_distill.launch.ahead"],
        )
    except KeyboardInterrupt:
        say(f"interrupted; what was finished is kept. To go on: {again()}")
        raise
    _conclude(spec, standing, storage, tracking_uri, as_json)
    Front(standing.records, spec.axes, spec.bounds).require()


def again() -> str:
    """This command, to be run again: without --fresh, which would begin anew, and passwords."""
    from tune_distill.track.uri import redacted

    storages = [b for a, b in pairwise(["", *sys.argv[1:]]) if a == "--storage"]  # have no secrets
    told = [a for a in sys.argv[1:] if a != "--fresh"]
    kept = [redacted(a) if "://" in a and a not in storages else a for a in told]
    return shlex.join(["tune-distill", *kept])


def _conclude(
    spec: StudySpec, standing: Standing, storage: str, uri: str | None, as_json: bool
) -> None:
    """Where the front is, and what to do with it."""
    from tune_distill.storage import at as place
    from tune_distill.track.uri import redacted

    folder = place(storage).study(spec.name)
    if as_json:
        summary = {
            "study": spec.name,
            "folder": folder.shown,
            "trials": len(standing.records),
            **standing.states,
            "front": list(standing.front),
            "hypervolume": standing.hypervolume,
        }
        typer.echo(json.dumps(summary))
    at = "" if storage == STORAGE else f" --storage {shlex.quote(storage)}"
    say(f"front: {folder.path / 'front.html'} ({len(standing.front)} students)")
    ui = f"mlflow ui --backend-store-uri sqlite:///{folder.path / 'mlflow.db'}"
    say(f"mlflow: {redacted(uri) if uri else ui}")
    if standing.front:
        say(f"export: tune-distill export {spec.name} --pick knee{at}")
