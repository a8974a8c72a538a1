"""`tune-distill confirm`: trains a front again on fresh seeds, and reads the held-out rows once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tune_distill.cli.options import (
    STORAGE,
    Address,
    Json,
    Storage,
    Study,
    TrackingUri,
    opened,
    say,
)

if TYPE_CHECKING:
    from tune_distill.folder import StudyFolder
    from tune_distill.inputs import Inputs
    from tune_distill.launch.listeners import Listener
    from tune_distill.spec import StudySpec
    from tune_distill.track import Tracker


def confirm(
    study: Study,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fresh seeds a model.")] = 5,
    trials: Annotated[
        list[int], typer.Option("--trial", help="A trial to confirm; by default the whole front.")
    ] = [],  # noqa: B006 - typer's way of a repeatable option
    controls: Annotated[
        Literal["all", "knee", "none"],
        typer.Option("--controls", help="Students fine-tuned without a teacher, for comparison."),
    ] = "knee",
    attacked_rows: Annotated[
        int | None,
        typer.Option("--attacked-rows", min=1, help="Held-out rows to attack; by default all."),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="The front's students as ONNX, too: points of their own.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="And as ONNX in int8, measured and attacked as such.")
    ] = False,
    storage: Storage = STORAGE,
    address: Address = None,
    tracking_uri: TrackingUri = None,
    as_json: Json = False,
) -> None:
    """Train the front again on fresh seeds, and read the held-out rows: what can be trusted."""
    from tune_distill.cli.confirmed import print_confirmed
    from tune_distill.cli.search import again
    from tune_distill.forms import Wanted
    from tune_distill.forms.onnx import require
    from tune_distill.launch.confirm import Asked
    from tune_distill.launch.confirm import confirm as launch
    from tune_distill.spec import resolve

    if onnx or int8:
        require("--int8" if int8 else "--onnx")
    folder, document = opened(study, storage)
    spec = resolve(document)
    with folder.locked(say):  # its front stands still
        try:
            told = launch(
                spec,
                document,
                folder,
                Asked(seeds, controls, tuple(trials), attacked_rows, Wanted(onnx, int8)),
                listen=lambda own, inputs: _watched(
                    spec, document, folder, own, inputs, tracking_uri
                ),
                say=say,
                address=address,
            )
        except KeyboardInterrupt:
            say(f"interrupted; what was finished is kept. To go on: {again()}")
            raise
        _file(spec, folder, told, tracking_uri)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        print_confirmed(told)
    say(f"report: {folder.path / 'confirm.html'}, and as data confirm.json")


@contextmanager
def _watched(
    spec: StudySpec,
    document: Mapping[str, Any],
    folder: StudyFolder,
    own: StudyFolder,
    inputs: Inputs,
    uri: str | None,
) -> Iterator[Sequence[Listener]]:
    """The listeners of a confirmation: a run of its own beside the search's, and the display."""
    from tune_distill.cli.display import Display
    from tune_distill.cli.progress import Progress
    from tune_distill.cli.watch import begin
    from tune_distill.launch.publish import TellingHeldOut

    records = own.records()
    with ExitStack() as stack:
        display = Display(f"{spec.name}, confirmed", Progress(spec.axes, len(records), records))
        tracker = stack.enter_context(_tracker(spec, folder, own, uri, display.say))
        begin(tracker, spec, document, own, inputs)
        tracker.reconcile(records)
        telling = TellingHeldOut(tracker, own)
        for record in records:
            telling.ended(record)
        stack.enter_context(display)
        yield (telling, display)


def _tracker(
    spec: StudySpec,
    folder: StudyFolder,
    own: StudyFolder,
    uri: str | None,
    say: Callable[[str], None],
) -> Tracker:
    """Of the confirmation's own run, in the search's experiment."""
    from tune_distill.cli.search import again
    from tune_distill.track import Tracker
    from tune_distill.track.uri import default_uri

    name, store = f"{spec.name} confirmed", uri or default_uri(folder)
    return Tracker(own, spec.name, store, run_name=name, say=say, resend=again())


def _file(spec: StudySpec, folder: StudyFolder, told: Mapping[str, Any], uri: str | None) -> None:
    """Writes the page, and puts what a confirmation says into its own run and the search's."""
    from tune_distill.cli.confirm_page import PAGE, page
    from tune_distill.cli.confirmed import markdown
    from tune_distill.cli.search import again
    from tune_distill.confirm import REPORT
    from tune_distill.confirm.read import metrics
    from tune_distill.files import write_atomically
    from tune_distill.launch.confirm import CONFIRM
    from tune_distill.track import Tracker

    own = folder.within(CONFIRM)
    files = {name: folder.path / name for name in (REPORT, PAGE)}
    write_atomically(files[PAGE], page(told))
    with _tracker(spec, folder, own, uri, say) as tracker:
        tracker.study(tags={"mlflow.note.content": markdown(told)}, artifacts=files)
        for number, taken in _latencies(told).items():  # and forms that an earlier run had not
            tracker.measured(number, metrics(own.trial(number)) | taken)
    with Tracker(folder, spec.name, uri, say=say, resend=again()) as tracker:
        tracker.study(artifacts=files)


def _latencies(told: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """By trial of the confirmation: `latency_ms` of its student, `int8.latency_ms` ..."""
    found: dict[int, dict[str, float]] = {}
    for model in told["models"]:
        of = "" if model["form"] == "pytorch" else f"{model['form']}."
        for number in model["trials"] if model["latency"] else ():
            found.setdefault(number, {})[f"{of}latency_ms"] = model["latency"]["median_ms"]
    return found
