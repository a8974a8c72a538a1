"""A search of trials that sleep instead of training, for the launcher's tests.

python launch_study.py STORAGE TRIALS NAP FOLDER [ADDRESS]    runs it as a driver of its own, with
    Ray's files in a folder, or on a cluster; of an object store, `ran` is beside the mirrors
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tune_distill.errors import Diverged, SpecError
from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.launch.search import search
from tune_distill.launch.standing import Standing
from tune_distill.outcome import Outcome
from tune_distill.record import Rung
from tune_distill.space import Params
from tune_distill.spec import StudySpec, resolve
from tune_distill.storage import lease
from tune_distill.storage.mirror import mirrors

EPOCHS = 3
DOCUMENT: dict[str, Any] = {
    "name": "toy",
    "task": {"builtin": "reviews"},
    "teacher": {"builtin": "small"},
    "space": {
        "student": {"layers": {"int": [1, 6]}, "hidden_size": [16, 24], "heads": [2, 4, 8]},
        "method": {"finetune": {}, "kd": {"temperature": {"log": [1.0, 10.0]}}},
        "train": {"learning_rate": {"log": [1.0e-5, 1.0e-3]}, "epochs": EPOCHS},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.5},
        "size_mb": {"goal": "min", "reference": 100.0},
    },
}


def document(trials: int, **search_keys: Any) -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT) | {"search": {"trials": trials, **search_keys}}


def read_rungs(folder: Path) -> tuple[Rung, ...]:
    file = folder / "rungs.json"
    rows = json.loads(file.read_text()) if file.exists() else []
    return tuple(Rung(**row) for row in rows)


def run(
    spec: StudySpec,
    params: Params,
    inputs: dict[str, Any],
    folder: Path,
    report: Callable[[Rung], None],
    *,
    threads: int,
    device: str,
) -> Outcome:
    """Three epochs; the rungs are the checkpoint. `inputs` says which trial meets which fault.

    Each line of the study's `ran` (or `log`, for all machines) is an epoch: `trial epoch process`.
    """
    if signals := inputs.get("signals"):
        assert (signals / "values").read_text() == "signals"
    number, rungs = int(folder.name), list(read_rungs(folder))
    for epoch in range(len(rungs) + 1, EPOCHS + 1):
        time.sleep(inputs.get("nap", 0.0))
        with Path(inputs.get("log", folder.parents[1] / "ran")).open("a") as log:
            log.write(f"{number} {epoch} {os.getpid()}\n")
        rungs.append(Rung(epoch, epoch, accuracy(params), {"total": 1.0 / epoch}, seconds=2.0))
        write_atomically(folder / "rungs.json", json.dumps([vars(rung) for rung in rungs]))
        report(rungs[-1])
        if epoch >= 2:
            _fault(inputs.get("faults", {}).get(number), folder, inputs)
    (folder / "student").mkdir(exist_ok=True)
    (folder / "student" / "weights").write_text(f"of {number}")
    return Outcome(accuracy(params), size(params), parameters=1, flops=1.0)


def accuracy(params: Params) -> float:
    """After each epoch, and in the end."""
    return 0.5 + int(params["student.layers"] or 0) / 20


def size(params: Params) -> float:
    """In megabytes."""
    return int(params["student.layers"] or 0) * int(params["student.hidden_size"] or 0) / 10


def _fault(kind: str | None, folder: Path, inputs: dict[str, Any]) -> None:
    met = folder / "met"
    if kind == "lost with its disk" and not Path(inputs["met"]).exists():
        Path(inputs["met"]).touch()
        shutil.rmtree(os.environ["TUNE_DISTILL_MIRROR"])
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "bucket away" and not Path(inputs["met"]).exists():
        Path(inputs["met"]).touch()
        Path(inputs["bucket"]).rename(f"{inputs['bucket']}.away")
        Path(inputs["bucket"]).touch()
    if kind == "nan":
        raise Diverged("the loss is nan after 2 updates")
    if kind == "bug":
        raise TypeError("ours")
    if kind == "hangs":
        time.sleep(3600)
    if kind == "full" and not met.exists():
        met.touch()
        raise OSError(28, "No space left on device")
    if kind == "killed always" or (kind == "killed" and not met.exists()):
        met.touch()
        os.kill(os.getpid(), signal.SIGKILL)


class Prepare:
    """Stands for `prepare.prepare`: what the trials get; `signals=True` are made in the cache."""

    def __init__(self, **inputs: Any) -> None:
        self.inputs = inputs

    def __call__(self, spec: StudySpec, cache: Path, say: Callable[[str], None]) -> dict[str, Any]:
        if not self.inputs.get("signals"):
            return self.inputs
        signals = cache / "signals" / "abc"
        if not signals.exists():
            say("making signals")
            signals.mkdir(parents=True)
            (signals / "values").write_text("signals")
        return {**self.inputs, "signals": signals}


def prepare_elsewhere(spec: StudySpec, cache: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Talks, and tells where it ran; a study named `bad` is refused."""
    say("reading")
    if spec.name == "bad":
        raise SpecError("no such file")
    say(f"writing to {cache}")
    return {"process": os.getpid()}


def launch(
    storage: Path | str,
    trials: int,
    inputs: dict[str, Any],
    *,
    keys: dict[str, Any] | None = None,
    space: dict[str, Any] | None = None,
    concurrent: int | None = None,
    sections: dict[str, Any] | None = None,
    **more: Any,
) -> Standing:
    """A search of the toy study; `keys` of its `search:`, other `sections`, `more` for `search`."""
    asked = document(trials, **(keys or {}))
    asked["resources"] = {"concurrent": concurrent}
    asked["space"] = space or asked["space"]
    asked |= sections or {}
    return search(
        resolve(asked),
        asked,
        storage,
        prepare=Prepare(**inputs),
        run=run,
        read_rungs=read_rungs,
        **more,
    )


def ran(folder: StudyFolder) -> list[tuple[int, int, int]]:
    """(trial, epoch, process) of each epoch that was run."""
    lines = (folder.path / "ran").read_text().splitlines()
    return [tuple(map(int, line.split())) for line in lines]  # type: ignore[misc]


def main() -> None:
    storage, trials, nap, temporary, *address = sys.argv[1:]
    where: dict[str, Any] = {"num_cpus": 2, "temporary": Path(temporary)}
    if address:
        where = {"address": address[0]}
    try:
        inputs: dict[str, Any] = {"nap": float(nap)}
        if "://" in storage:
            lease.BEAT = 0.2
            inputs |= {"log": str(mirrors().parent / "ran"), "signals": True}
        launch(storage, int(trials), inputs, **where)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
