"""Regression and several labels end to end: teacher, distilled student, held-out rows, pipeline."""

from __future__ import annotations

import csv
import json
import random

import numpy as np
import pytest
from transformers import AutoModelForSequenceClassification, pipeline

from tune_distill import draws, prepare, tasks, trial
from tune_distill.confirm.read import outputs
from tune_distill.export import Source
from tune_distill.export.card import card
from tune_distill.export.scores import Shown
from tune_distill.folder import StudyFolder
from tune_distill.record import TrialRecord
from tune_distill.space import at_random
from tune_distill.spec import TrainSpec, resolve
from tune_distill.teacher import Recipe, builtin

NOUNS = ["film", "meal", "room", "plot", "soup", "cast", "tune", "lamp", "road", "hat"]


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    """A built-in teacher that is small enough for a test."""
    small = Recipe(
        layers=2,
        hidden_size=32,
        heads=2,
        intermediate_size=64,
        dropout=0.0,
        initializer_range=0.05,
        vocabulary=200,
        train=TrainSpec(learning_rate=3e-3, batch_size=16, epochs=8),
    )
    monkeypatch.setattr(builtin, "SMALL", small)


def text(rng, words):
    nouns = rng.choice(NOUNS, 4, replace=False)
    return " ".join(f"{word} {noun}" for word, noun in zip(words, nouns, strict=True))


def row(rng, kind):
    """Four words of a sentence are good or bad: their number, or which kinds there are, counts."""
    if kind == "regression":
        words = rng.choice(["good", "bad"], 4).tolist()
        return {"text": text(rng, words), "label": words.count("good") / 2}
    words = rng.choice(["plain", "plain", "warm", "loud"], 4).tolist()
    return {"text": text(rng, words), "warm": int("warm" in words), "loud": int("loud" in words)}


def write(folder, kind):
    rng = np.random.default_rng(0)
    seen = {}
    while len(seen) < 700:
        made = row(rng, kind)
        seen[made["text"]] = made
    rows = list(seen.values())
    parts = {"train": rows[:400], "dev": rows[400:500], "other": rows[500:600]}
    for name, some in parts.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(some[0]))
            writer.writeheader()
            writer.writerows(some)
    (folder / "more.txt").write_text("\n".join(one["text"] for one in rows[600:]))


TASKS = {
    "regression": {"metric": ["pearson", "spearman"]},
    "multi_label": {"label": ["warm", "loud"], "metric": ["f1_micro", "accuracy"]},
}
ANSWERS = {
    "regression": (
        "good film good meal good room good plot",
        "bad film bad meal bad room bad plot",
    ),
    "multi_label": (
        "warm film plain meal warm room warm plot",
        "plain film plain meal loud room loud plot",
    ),
}


def study(folder, kind, method):
    files = {"train": "train.csv", "validation": "dev.csv"}
    files = {name: str(folder / file) for name, file in files.items()}
    task = {
        "files": {**files, "more": {"other": str(folder / "other.csv")}},
        "text": "text",
        "unlabelled": str(folder / "more.txt"),
        "max_length": 16,
        "search_rows": 60,
        **TASKS[kind],
    }
    return {
        "name": kind,
        "task": task,
        "teacher": {"builtin": "small"},
        "space": {
            "student": {"layers": 1, "hidden_size": 32, "heads": 2},
            "method": method,
            "train": {"learning_rate": 3.0e-3, "batch_size": 16, "epochs": 4},
        },
        "objectives": {"accuracy": {"goal": "max", "reference": 0.0}},
    }


@pytest.mark.parametrize("kind", TASKS)
def test_a_student_is_distilled_measured_and_told_by_its_pipeline(kind, tmp_path):
    write(tmp_path, kind)
    document = study(tmp_path, kind, {"kd": {"alpha": 0.7, "temperature": 2.0}})
    spec = resolve(document)
    said = []
    inputs = prepare.prepare(spec, tmp_path / "cache", said.append)
    params = spec.search_space.draw(at_random(random.Random(0)))
    assert draws.infeasible(spec, inputs, params) == []
    rungs = []
    outcome = trial.run(spec, params, inputs, tmp_path, rungs.append)
    task = tasks.open_prepared(inputs.task)
    assert task.kind == kind
    unlabelled = len(task.train) - len(task.train.labelled())
    assert 0 < unlabelled <= 100
    # Each epoch saw the texts without labels, too: batches of 16 over all rows.
    assert rungs[0].updates == -(-len(task.train) // 16)
    assert all(np.isfinite(list(rung.losses.values())).all() for rung in rungs)
    assert outcome.accuracy == rungs[-1].accuracy > 0.8
    assert not outcome.intervals  # neither correlation nor F1 is a rate

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "student")
    answers = outputs(model, task)
    found = {name: tasks.scores(task, logits, name) for name, logits in answers.items()}
    assert set(found) == {"heldout", "heldout_other"}
    for split, scores in found.items():
        assert list(scores) == TASKS[kind]["metric"]
        logits = predictions(model, task.splits()[split])
        for metric, score in scores.items():
            expected = tasks.score(metric, logits, task.splits()[split].labels)
            assert score == pytest.approx(expected, abs=1e-3)  # ranks of near-ties

    filed = TrialRecord(0, "complete", params, outcome)
    shown = card(Source(StudyFolder(tmp_path), document, spec, [filed]), filed, Shown(kind=kind))
    assert f"accuracy ({TASKS[kind]['metric'][0]})" in shown
    assert ("top_k=None" in shown) is (kind == "multi_label")
    high, low = pipeline("text-classification", str(tmp_path / "student"))(
        list(ANSWERS[kind]), **({"top_k": None} if kind == "multi_label" else {})
    )
    if kind == "regression":  # 4 of 4 words are good, and none: 2 and 0
        assert high["label"] == low["label"] == "score"
        assert high["score"] > 1.4 > 0.6 > low["score"]
    else:
        chances = [{one["label"]: one["score"] for one in each} for each in (high, low)]
        assert chances[0]["warm"] > 0.5 > chances[0]["loud"]
        assert chances[1]["loud"] > 0.5 > chances[1]["warm"]


def predictions(model, data):
    logits = np.empty((len(data), model.config.num_labels), np.float32)
    for one in range(len(data)):
        logits[one] = model(**data.batch(np.array([one])).inputs()).logits.detach().numpy()
    return logits


def test_a_method_of_labels_alone_trains_on_labelled_rows_alone(tmp_path):
    write(tmp_path, "multi_label")
    spec = resolve(study(tmp_path, "multi_label", {"finetune": {}}))
    inputs = prepare.prepare(spec, tmp_path / "cache", lambda line: None)
    params = spec.search_space.draw(at_random(random.Random(0)))
    rungs = []
    trial.run(spec, params, inputs, tmp_path, rungs.append)
    task = tasks.open_prepared(inputs.task)
    assert len(task.train.labelled()) < len(task.train)
    assert rungs[0].updates == -(-len(task.train.labelled()) // 16)
    assert json.loads((tmp_path / "rungs.json").read_text())[0]["losses"]["hard"] > 0
