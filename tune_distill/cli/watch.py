"""Who listens to a search of the command line: MLflow, the front's files, the display."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tune_distill import __version__, student, tasks
from tune_distill.cli.display import Display
from tune_distill.cli.options import STORAGE
from tune_distill.cli.progress import Progress
from tune_distill.folder import StudyFolder
from tune_distill.inputs import Inputs, teacher_config
from tune_distill.launch.listeners import Listener
from tune_distill.launch.publish import Publisher
from tune_distill.space import Branch, Constant
from tune_distill.spec import StudySpec
from tune_distill.track import DatasetUse, Tracker
from tune_distill.track.uri import redacted


@contextmanager
def watched(
    spec: StudySpec,
    document: Mapping[str, Any],
    folder: StudyFolder,
    inputs: Inputs,
    uri: str | None,
    resend: str,
) -> Iterator[Sequence[Listener]]:
    """The listeners of a search, open while it runs."""
    records = folder.records()
    folder.write_teacher(inputs.outcome, inputs.teacher)
    folder.write_hardened([(one.defence, one.outcome) for one in inputs.hardened if one.defence])
    with ExitStack() as stack:
        progress = Progress(spec.axes, spec.search.trials, records, bounds=spec.bounds)
        display = Display(spec.name, progress)
        tracker = stack.enter_context(
            Tracker(folder, spec.name, uri, say=display.say, resend=resend)
        )
        begin(tracker, spec, document, folder, inputs)
        tracker.reconcile(records)
        stack.enter_context(display)
        publisher = Publisher(spec, folder, tracker, exporting(folder, uri))
        yield (stack.enter_context(publisher), display)


def begin(
    tracker: Tracker,
    spec: StudySpec,
    document: Mapping[str, Any],
    folder: StudyFolder,
    inputs: Inputs,
) -> None:
    """Opens the study's run: what was asked, of which code, with which data and teacher."""
    task = tasks.open_prepared(inputs.task)
    uses = [
        DatasetUse(task.name, task.digest[:16], split, _source(spec), len(getattr(task, split)))
        for split in ("train", "search")
    ]
    tracker.study(
        params=flat(document),
        tags={
            "mlflow.note.content": spec.description,
            "tune_distill.version": __version__,
            "torch.version": str(torch.__version__),
            **{f"digest.{name}": digest for name, digest in inputs.digests},
        },
        datasets=uses,
        artifacts={"study.yaml": folder.study},
        shared={"mlflow.source.name": "tune-distill", **_code()},
    )
    tracker.view({axis.name: axis.goal for axis in spec.axes}, _shared_knobs(spec))
    own = student.shape(teacher_config(inputs.teacher))
    shape = {f"student.{name}": value for name, value in asdict(own).items()}
    tracker.teacher("teacher", inputs.outcome, {"method": "teacher", **shape})
    for one in inputs.hardened:
        if one.defence:
            knobs = {f"robust.{one.defence.name}.{k}": v for k, v in asdict(one.defence).items()}
            told = {"method": "teacher", **shape, "robust": one.defence.name, **knobs}
            tracker.teacher(f"teacher hardened by {one.defence.shown}", one.outcome, told)


def _shared_knobs(spec: StudySpec) -> list[str]:
    """The knobs that every trial draws and that differ between trials; choices of kinds first."""
    entries = spec.search_space.entries
    kinds = [p for p, entry in entries.items() if isinstance(entry, Branch)]
    plain = [p for p, entry in entries.items() if not isinstance(entry, Branch | Constant)]
    return [*(kind for kind in kinds if len(spec.search_space.options(kind)) > 1), *plain]


def exporting(folder: StudyFolder, uri: str | None) -> str:
    """The command that exports a front's knee."""
    storage = folder.storage
    at = [] if storage == str(Path(STORAGE).resolve()) else ["--storage", storage]
    to = ["--tracking-uri", redacted(uri)] if uri else []
    return shlex.join(["tune-distill", "export", folder.path.name, "--pick", "knee", *at, *to])


def flat(document: Mapping[str, Any], under: str = "") -> dict[str, str]:
    """A document's leaves by dotted path, as text."""
    found: dict[str, str] = {}
    for key, value in document.items():
        path = f"{under}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{path}.")
        else:
            found[path] = str(value)
    return found


def _source(spec: StudySpec) -> str:
    if spec.task.files:
        return spec.task.files.train
    return spec.task.dataset or f"builtin:{spec.task.builtin}"


def _code() -> dict[str, str]:
    """The commit of the code's own checkout, as tags; none for an installed package."""
    root = Path(__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return {}
    asked = [git, "-C", str(root), "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    commit, _, dirty = said.partition("-")
    short = f"{commit[:9]}-{dirty}" if dirty else commit[:9]
    return {"git": short, "mlflow.source.git.commit": commit} if commit else {}
