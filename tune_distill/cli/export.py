"""`tune-distill export` writes a student of the front; `train` trains one again from its config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tune_distill.cli.options import STORAGE, Json, Storage, Study, opened, say

Pick = Annotated[str, typer.Option("--pick", help="knee, best:MEASURE or trial:NUMBER.")]
Where = Annotated[
    list[str], typer.Option("--where", help='A bound, as in "size_mb<=60"; may be repeated.')
]


def export(
    study: Study,
    pick: Pick = "knee",
    where: Where = [],  # noqa: B006 - typer's way of a repeatable option
    to: Annotated[Path | None, typer.Option("--to", help="The folder to write.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an earlier export.")
    ] = False,
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Write a finished student as a Hugging Face folder, with its card and its config."""
    from tune_distill import export as exporter
    from tune_distill.front import Front
    from tune_distill.spec import resolve

    folder, document = opened(study, storage)
    spec, records = resolve(document), folder.records()
    record = exporter.pick(records, spec.axes, pick, [*spec.bounds, *exporter.asked(where)])
    target = to or Path("students") / f"{spec.name}-trial-{record.number}"
    exporter.bundle(
        folder,
        record,
        document,
        spec.axes,
        target,
        teacher=measures.measures() if (measures := folder.teacher()) else {},
        on_front=record.number in Front(records, spec.axes, spec.bounds).members,
        replace=replace,
    )
    if as_json:
        measures = record.outcome.measures() if record.outcome else {}
        typer.echo(json.dumps({"folder": str(target), "trial": record.number, **measures}))
        return
    typer.echo(str(target))
    say(f"trial {record.number}: {_summary(record.outcome.measures() if record.outcome else {})}")
    say(f'load it: transformers.pipeline("text-classification", "{target}")')


def train(
    config: Annotated[Path, typer.Argument(help="The student.yaml of an exported student.")],
    to: Annotated[Path | None, typer.Option("--to", help="The folder to write.")] = None,
    storage: Storage = STORAGE,
    as_json: Json = False,
) -> None:
    """Train one student from its config; on the same machine, to the same result."""
    from tune_distill.cli.single import train_single

    outcome, folder = train_single(config, to, storage, say)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **outcome.measures()}))
        return
    typer.echo(str(folder))
    say(_summary(outcome.measures()))


def _summary(measures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in measures.items())
