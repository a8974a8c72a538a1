"""`tune-distill export` writes students of the front; `train` trains one again from its config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tune_distill.cli.options import STORAGE, Json, Storage, Study, opened, say
from tune_distill.errors import SpecError

Pick = Annotated[
    str | None, typer.Option("--pick", help="knee (the default), best:MEASURE or trial:NUMBER.")
]
Where = Annotated[
    list[str], typer.Option("--where", help='A bound, as in "size_mb<=60"; may be repeated.')
]


def export(
    study: Study,
    pick: Pick = None,
    where: Where = [],  # noqa: B006 - typer's way of a repeatable option
    whole_front: Annotated[
        bool, typer.Option("--all-front", help="The front (confirmed, if it was), and an index.")
    ] = False,
    to: Annotated[Path | None, typer.Option("--to", help="The folder to write.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an earlier export.")
    ] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="ONNX, too: float32, checked.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="ONNX in int8, too, measured.")] = False,
    measure: Annotated[
        bool, typer.Option(help="Read the held-out rows and time a text; needs the task's rows.")
    ] = True,
    mlflow: Annotated[
        bool, typer.Option(help="Log the student as a model of its trial's run.")
    ] = True,
    register: Annotated[
        str | None, typer.Option("--register", help="Register it in MLflow, as champion of NAME.")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="The search's MLflow server.")
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push", help="Upload it to the hub, as OWNER/NAME.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="With --push.")] = False,
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Write finished students as Hugging Face folders, each with its card and its config."""
    if wrong := _wrong(pick, whole_front, int8, measure, mlflow, register, push):
        raise SpecError(wrong)
    found = opened(study, storage)  # a name that is wrong is told before torch is imported
    from tune_distill import export as exporter
    from tune_distill.cli import exporting
    from tune_distill.export.push import Hub
    from tune_distill.forms.onnx import require

    if onnx or int8:
        require("--int8" if int8 else "--onnx")
    hub = Hub.ready(push, private=private) if push else None
    source = exporter.Source.of(*found)
    asked = exporting.Asked(
        exporter.asked(where), exporter.Wanted(onnx or int8, int8), measure, replace
    )
    store = exporting.Store(tracking_uri, register) if mlflow else None
    if whole_front:
        told = exporting.front(source, asked, to, store)
    else:
        told = exporting.student(source, asked, pick or "knee", to, store, hub)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        typer.echo(told["folder"])
        exporting.conclude(told)


def _wrong(
    pick: str | None,
    whole_front: bool,
    int8: bool,
    measure: bool,
    mlflow: bool,
    register: str | None,
    push: str | None,
) -> list[str]:
    """What was asked for and can't be had together."""
    of_one = {"--pick": pick, "--register": register, "--push": push}
    found = [
        f"--all-front {name} {value}: that is for one student; leave one of the two out"
        for name, value in of_one.items()
        if whole_front and value
    ]
    if int8 and not measure:
        found.append("--int8 --no-measure: what int8 costs is measured, not assumed")
    if register and not mlflow:
        found.append(f"--register {register} --no-mlflow: the registry is MLflow's")
    return found


def train(
    config: Annotated[Path, typer.Argument(help="The student.yaml of an exported student.")],
    to: Annotated[Path | None, typer.Option("--to", help="The folder to write.")] = None,
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Train one student from its config; on the same machine, to the same result."""
    from tune_distill.cli.exporting import summary
    from tune_distill.cli.single import compared, train_single

    outcome, folder = train_single(config, to, storage, say)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **outcome.measures()}))
        return
    typer.echo(str(folder))
    say(summary(outcome.measures()))
    say(compared(outcome, config.parent / "metrics.json"))
