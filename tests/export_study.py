"""A finished study of two students, both on its front: what the tests of exports read."""

from __future__ import annotations

import copy

from tests import tiny
from tune_distill import prepare, trial
from tune_distill.export import Source
from tune_distill.folder import StudyFolder
from tune_distill.record import TrialRecord
from tune_distill.spec import dump, resolve

DOCUMENT = {
    "name": "two",
    "task": {"text": "sentence", "max_length": 24},
    "teacher": {},
    "space": {
        "student": {"layers": [1, 2], "hidden_size": [16, 24], "heads": 4, "dropout": 0.0},
        "method": {"finetune": {}},
        "train": {"learning_rate": 4.0e-3, "batch_size": 16, "epochs": 1},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.4},
        "size_mb": {"goal": "min", "reference": 1.0},
        "parameters": {"goal": "max", "reference": 0.0},  # so that none beats the other
        "robust_worst": {"goal": "max", "reference": 0.0},
    },
    "robustness": {"rows": 16, "budget": 8},
    "search": {"trials": 2},
}
SIZES = (
    {"student.layers": 1, "student.hidden_size": 16},
    {"student.layers": 2, "student.hidden_size": 24},
)


def make(folder):
    """Fits a teacher, trains both students, files their trials: the study is `studies/two`."""
    tiny.write_task(folder, train=240, validation=50)
    tiny.write_teacher(folder / "teacher")
    document = copy.deepcopy(DOCUMENT)
    document["teacher"]["model"] = str(folder / "teacher")
    files = {"train": "train.csv", "validation": "validation.csv"}
    document["task"]["files"] = {split: str(folder / name) for split, name in files.items()}
    spec, place = resolve(document), StudyFolder(folder / "studies" / "two")
    place.path.mkdir(parents=True)
    place.study.write_text(dump(document))
    inputs = prepare.prepare(spec, place.cache, lambda line: None)
    place.write_teacher(inputs.outcome, inputs.teacher)
    for number, chosen in enumerate(SIZES):
        drawn = spec.search_space.draw(lambda name, _, chosen=chosen: chosen[name])
        params, rungs = {**drawn, "train.seed": number}, []
        place.trial(number).mkdir(parents=True)
        outcome = trial.run(spec, params, inputs, place.trial(number), rungs.append)
        place.write(TrialRecord(number, "complete", params, outcome, tuple(rungs)))
    return Source.of(place, document)
