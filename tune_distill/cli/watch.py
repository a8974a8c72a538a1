"""Who listens to a search of the command line: MLflow, the front's files, the display."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from tune_distill import __version__, tasks
from tune_distill.cli.display import Display
from tune_distill.cli.progress import Progress
from tune_distill.folder import StudyFolder
from tune_distill.launch import Listener
from tune_distill.launch.publish import Publisher
from tune_distill.prepare import Inputs
from tune_distill.spec import StudySpec, dump
from tune_distill.track import DatasetUse, Tracker


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
        yield (Publisher(spec, folder, inputs.outcome, tracker), display)


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
            "mlflow.source.name": "tune-distill",
            "mlflow.note.content": _note(spec, document),
            "tune_distill.version": __version__,
            "torch.version": str(torch.__version__),
            **{f"digest.{name}": digest for name, digest in inputs.digests},
            **{f"teacher.{n}": f"{v:.6g}" for n, v in inputs.outcome.measures().items()},
            **_hardened(inputs),
            **({"mlflow.source.git.commit": commit} if (commit := _commit()) else {}),
        },
        datasets=uses,
        artifacts={"study.yaml": folder.study},
    )


def _hardened(inputs: Inputs) -> dict[str, str]:
    """The teachers that defences hardened, and what each measures, by number."""
    tags: dict[str, str] = {}
    for number, one in enumerate(inputs.hardened, start=1):
        name = f"teacher.hardened.{number}"
        tags[name] = one.defence.shown if one.defence else ""
        tags |= {f"{name}.{n}": f"{v:.6g}" for n, v in one.outcome.measures().items()}
    return tags


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


def _note(spec: StudySpec, document: Mapping[str, Any]) -> str:
    return f"{spec.description}\n\n```yaml\n{dump(document)}```\n"


def _source(spec: StudySpec) -> str:
    if spec.task.files:
        return spec.task.files.train
    return spec.task.dataset or f"builtin:{spec.task.builtin}"


def _commit() -> str:
    """The commit of the code's own checkout; empty for an installed package."""
    root = Path(__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return ""
    done = subprocess.run(
        [git, "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
