"""A study whose trials are made up: what the tests of the search draw, file and finish."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tune_distill.folder import StudyFolder
from tune_distill.outcome import Outcome
from tune_distill.record import State, TrialRecord
from tune_distill.searcher import AskTell, Draw, open_study
from tune_distill.spec import StudySpec, dump, resolve

DOCUMENT: dict[str, Any] = {
    "name": "toy",
    "task": {"builtin": "reviews"},
    "teacher": {"builtin": "small"},
    "space": {
        "student": {"layers": {"int": [1, 6]}, "hidden_size": [16, 24], "heads": [2, 4, 8]},
        "method": {"finetune": {}, "kd": {"temperature": {"log": [1.0, 10.0]}}},
        "train": {"learning_rate": {"log": [1.0e-5, 1.0e-3]}, "epochs": 3},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.5},
        "size_mb": {"goal": "min", "reference": 100.0},
    },
}


def document(sections: dict[str, Any] | None = None, **search: Any) -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT) | {"search": search} | (sections or {})


def begun(path: Path, sections: dict[str, Any] | None = None, **search: Any) -> StudyFolder:
    """A study's folder with its document."""
    path.mkdir(parents=True, exist_ok=True)
    folder = StudyFolder(path)
    folder.study.write_text(dump(document(sections, **search)))
    return folder


def spec_of(sections: dict[str, Any] | None = None, **search: Any) -> StudySpec:
    return resolve(document(sections, **search))


def asker(folder: StudyFolder, spec: StudySpec, **more: Any) -> AskTell:
    """A searcher over the study in a folder, begun or continued."""

    def unfiled(trial_id: str, draw: Draw, state: State) -> TrialRecord:
        record = TrialRecord(draw.number, state, draw.params, reason=f"of {trial_id}")
        folder.write(record)
        return record

    return AskTell(open_study(folder, spec), spec, folder, unfiled=unfiled, **more)


def file(folder: StudyFolder, draw: dict[str, Any], **measures: float) -> TrialRecord:
    """What a worker does when its trial has ended well."""
    taken = {"accuracy": 0.8, "size_mb": 5.0, "parameters": 1, "flops": 1.0} | measures
    record = TrialRecord(draw["number"], "complete", draw["params"], Outcome(**taken))
    folder.write(record)
    return record


def finish(one: AskTell, name: str, draw: dict[str, Any], **measures: float) -> TrialRecord:
    """The worker files the record and reports it; Tune tells the searcher."""
    record = file(one.folder, draw, **measures)
    one.on_trial_complete(name, {"final": True, "record": json.dumps(record.to_json())})
    return record


def run_some(one: AskTell, count: int) -> list[dict[str, Any]]:
    """Runs trials one after the other; a student of more layers is better and larger."""
    draws = []
    for i in range(count):
        draw = one.suggest(f"t{i}")
        assert isinstance(draw, dict), one.error
        layers = int(draw["params"]["student.layers"])
        finish(one, f"t{i}", draw, accuracy=0.5 + layers / 20, size_mb=float(layers))
        draws.append(draw["params"])
    return draws
