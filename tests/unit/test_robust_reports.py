"""What is told of a robust student: its loyalty, its guard, who is tied with it, what is chance."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax

from tests.hardened import World
from tune_distill.cli.tables import front_table
from tune_distill.measure.attack_rows import ties
from tune_distill.measure.guard import Guard
from tune_distill.measure.loyalty import divergence, loyalty
from tune_distill.outcome import MEASURES, Objective, Outcome
from tune_distill.plots import front_data
from tune_distill.record import Rung, TrialRecord
from tune_distill.tasks import Rows, encode
from tune_distill.track import story


def outcome(**more):
    return Outcome(accuracy=0.8, size_mb=1.0, parameters=10, flops=1.0, **more)


def test_loyalty_is_what_scipy_says_row_by_row():
    rng = np.random.default_rng(0)
    student, teacher = (rng.normal(0, 3, (50, 3)).astype(np.float32) for _ in range(2))
    found = loyalty(student, teacher)
    pairs = list(zip(softmax(student, axis=1), softmax(teacher, axis=1), strict=True))
    assert found.probabilities == pytest.approx(
        np.mean([1 - jensenshannon(p, q) for p, q in pairs]), abs=1e-6
    )
    assert found.labels.value == np.mean([p.argmax() == q.argmax() for p, q in pairs])
    assert found.labels.n == 50


def test_equal_answers_are_all_loyal_and_contrary_ones_as_little_as_can_be():
    sure = np.array([[200.0, -200.0], [-200.0, 200.0]], np.float32)
    assert loyalty(sure, sure + 5).probabilities == 1
    assert loyalty(sure, -sure).probabilities == pytest.approx(1 - math.sqrt(math.log(2)))
    assert loyalty(sure, -sure).labels.value == 0
    assert divergence(sure, -sure).tolist() == pytest.approx([math.log(2)] * 2)


def test_loyalty_may_be_an_objective_and_that_under_attack_is_only_reported():
    measured = outcome(label_loyalty=0.9, reported={"label_loyalty_attacked": 0.5})
    assert measured.measures()["label_loyalty_attacked"] == 0.5
    assert {"label_loyalty", "probability_loyalty"} < set(MEASURES)
    assert "label_loyalty_attacked" not in MEASURES
    assert Outcome.from_json(measured.to_json()) == measured
    old = {k: v for k, v in outcome().to_json().items() if "loyalty" not in k}
    del old["reported"], old["at_chance"]
    assert Outcome.from_json(old) == outcome()  # of a version that measured none


def test_a_guard_counts_rows_that_are_right_in_every_version(tmp_path):
    world = World(tmp_path, rows=6)
    labels = np.tile(world.data.labels, 5)
    encoded = encode(Rows((world.sentences * 5,), labels), world.texts.tokenizer, 30)
    model = world.model(seed=1)
    with torch.no_grad():
        model.classifier.bias += torch.tensor([0.0, 1e4])  # whatever it reads, it is class 1
    assert Guard(encoded, 6).score(model) == np.mean(world.data.labels == 1)
    labels[6] = 1 - labels[6]  # one version of the first row, which has to be right in all
    kept = Guard(encoded, 6).score(model)
    assert kept == np.mean((world.data.labels == 1) & (np.arange(6) != 0))


def test_a_rung_of_an_earlier_version_has_no_guard_and_mlflow_is_told_of_one_that_is_there():
    old = {"epoch": 1, "updates": 2, "accuracy": 0.5, "losses": {}, "seconds": 1.0}
    assert Rung(**old).guard is None
    assert "rung.guard" not in story.reported(1, Rung(**old), None).metrics
    assert story.reported(1, Rung(**old, guard=0.25), None).metrics["rung.guard"] == 0.25


def attacks_file(path, robust):
    rows = len(robust)
    pq.write_table(
        pa.table(
            {
                "attack": ["char"] * rows,
                "identity": ["char-lax/30 #a1b2"] * rows,
                "row": list(range(rows)),
                "outcome": ["robust" if one else "flipped" for one in robust],
            }
        ),
        path,
    )
    return path


def test_models_are_tied_where_their_paired_interval_holds_zero(tmp_path):
    half = [True, False] * 50
    one_more = [True, True, *half[2:]]
    none = [False] * 100
    files = {
        number: attacks_file(tmp_path / f"{number}.parquet", robust)
        for number, robust in {4: half, 7: one_more, 9: none}.items()
    }
    # Of 100 rows 4 and 7 differ in one: a draw that misses it, which is not rare, says equal.
    assert ties(files) == {4: [7], 7: [4], 9: []}


def test_a_student_at_chance_and_one_that_is_tied_are_marked(capsys):
    axes = [Objective("accuracy", "max", 0.0)]
    params = {"method": "kd", "student.layers": 1, "student.hidden_size": 8, "student.heads": 2}
    params |= {"student.init": "first", "train.learning_rate": 0.1, "robust": "fgm"}
    params |= {"robust.fgm.stage": "teacher"}
    record = TrialRecord(3, "complete", params, outcome(at_chance=True))
    data = front_data([record], axes)
    data["trials"][0]["ties"] = [5, 8]
    data["hardened"] = [{"defence": "fgm (epsilon 0.1)", "measures": {"accuracy": 0.75}}]
    front_table(data, data["trials"])
    shown = capsys.readouterr().out
    assert "at chance robust_worst tied with 5, 8" in shown
    assert "+ fgm (teacher)" in shown
    assert "teacher hardened by fgm (epsilon 0.1): accuracy 0.7500" in shown
    tags = story.ended(record, "true").tags
    assert tags["at_chance"] == "true"
    fine = TrialRecord(3, "complete", params, outcome())
    assert "at_chance" not in story.ended(fine, "true").tags
