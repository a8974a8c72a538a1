"""Hardened students end to end: drawn, refused or trained, measured, and made again."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from scipy.spatial.distance import jensenshannon
from typer.testing import CliRunner

from tests import tiny
from tune_distill import draws, prepare, tasks, teacher, trial
from tune_distill.cli import app, watch
from tune_distill.cli.single import train_single
from tune_distill.errors import SpecError
from tune_distill.export import described
from tune_distill.folder import StudyFolder
from tune_distill.hardening import HARDENINGS
from tune_distill.record import TrialRecord
from tune_distill.robustness.table import Table
from tune_distill.spec import TrialConfig, dump, resolve
from tune_distill.spec.space import reproduction
from tune_distill.train import predict

DEFENCES = ("none", "freelb", "random_char", "random_table", "augment", "attack", "fgm")
TABLE = {"film": ["movie"], "superb": ["fine"], "dull": ["boring"], "room": ["hall"]}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    tiny.write_task(folder, train=300)
    tiny.write_teacher(folder / "teacher")
    entries = {word: [(n, float("nan")) for n in near] for word, near in TABLE.items()}
    Table.of(entries).write(folder / "near.parquet")
    files = {split: str(folder / f"{split}.csv") for split in ("train", "validation")}
    return {
        "name": "hardened",
        "task": {"files": files, "text": "sentence", "max_length": 48},
        "teacher": {
            "model": str(folder / "teacher"),
            "harden": {"epochs": 1, "learning_rate": 1.0e-3},
        },
        "space": {
            "student": {"layers": 1, "hidden_size": 16, "heads": 4},
            "method": {"kd": {}},
            "robust": {
                "none": {},
                "freelb": {"stage": "after", "share": 0.5},
                "random_char": {"weight": 1.0},
                "random_table": {},
                "augment": {"rows": 60, "queries": 6},
                "attack": {"queries": 4, "clean": 0.5},
                "fgm": {"stage": "teacher", "epsilon": 0.5},
                "ard": {},
            },
            "train": {"learning_rate": 3.0e-3, "batch_size": 16, "epochs": 3},
        },
        "objectives": {
            "accuracy": {"goal": "max", "reference": 0.4},
            "robust_worst": {"goal": "max", "reference": 0.0},
        },
        "robustness": {
            "attacks": ["char", "table"],
            "rows": 8,
            "budget": 4,
            "resources": {"table": str(folder / "near.parquet")},
        },
    }


@pytest.fixture(scope="module")
def inputs(document, tmp_path_factory):
    return prepare.prepare(resolve(document), tmp_path_factory.mktemp("cache"), lambda line: None)


def draw(spec, robust):
    return spec.search_space.draw(lambda name, distribution: robust) | {"train.seed": 5}


@pytest.fixture(scope="module")
def runs(document, inputs, tmp_path_factory):
    """Of each defence: its trial's folder, outcome and rungs."""
    spec, made = resolve(document), {}
    for robust in DEFENCES:
        params = draw(spec, robust)
        assert draws.infeasible(spec, inputs, params) == []
        rungs, folder = [], tmp_path_factory.mktemp(robust)
        made[robust] = folder, trial.run(spec, params, inputs, folder, rungs.append), rungs
    return made


def test_students_are_hardened_as_they_were_drawn(runs):
    students = {}
    for robust, (folder, outcome, rungs) in runs.items():
        # Chance is a half; one word in each text tells its side.
        assert outcome.accuracy > 0.8, robust
        assert not outcome.at_chance
        assert 0 <= outcome.robust_worst <= 1
        at_once = robust.startswith("random") or robust == "augment"
        assert ("robust" in rungs[0].losses) == at_once
        assert ("robust" in rungs[-1].losses) == (at_once or robust == "attack")
        students[robust] = load_file(folder / "student/model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    sums = {float(tensors[name].double().sum()) for tensors in students.values()}
    assert len(sums) == len(DEFENCES)


def test_a_rung_has_a_guard_beside_its_accuracy(runs):
    for _, outcome, rungs in runs.values():
        guards = [rung.guard for rung in rungs]
        assert all(0 <= guard <= 1 for guard in guards)
        # Of 8 rows as they are, and each of them changed four times.
        assert guards[-1] <= outcome.clean_on_attacked
        assert (guards[-1] * 8) % 1 == 0


def test_a_student_of_a_hardened_teacher_starts_from_it_and_is_compared_with_it(
    document, inputs, runs
):
    spec = resolve(document)
    (hardened,) = inputs.hardened
    drawn = TrialConfig.from_params(draw(spec, "fgm"))
    assert hardened.defence == HARDENINGS["fgm"](epsilon=0.5) == drawn.robust.in_teacher()
    own = inputs.under(drawn.robust)
    assert own.teacher == hardened.folder != inputs.teacher
    assert own.signals not in (None, inputs.signals)
    assert [one.source for one in own.readings] == [hardened.folder]
    assert inputs.under(TrialConfig.from_params(draw(spec, "freelb")).robust) is inputs

    folder, outcome, _ = runs["fgm"]
    found = {name: load_file(path / "model.safetensors") for name, path in teachers(inputs).items()}
    key = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(found["plain"][key], found["hardened"][key])
    loyal = {name: like(inputs, folder, path) for name, path in teachers(inputs).items()}
    assert outcome.probability_loyalty == pytest.approx(loyal["hardened"], abs=1e-6)
    assert outcome.probability_loyalty != pytest.approx(loyal["plain"], abs=1e-3)
    assert 0 <= outcome.reported["label_loyalty_attacked"] <= 1


def teachers(inputs):
    return {"plain": inputs.teacher, "hardened": inputs.hardened[0].folder}


def like(inputs, folder, teacher_folder):
    """The mean of 1 - scipy's Jensen-Shannon distance over the search rows."""
    task, answers = tasks.open_prepared(inputs.task), []
    for path in (folder / "student", teacher_folder):
        logits = predict(teacher.load(path), task.search).astype(np.float64)
        answers.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    return float(np.mean([1 - jensenshannon(p, q) for p, q in zip(*answers, strict=True)]))


def test_what_was_made_beforehand_is_found_again(document, inputs, runs):
    said = []
    root = inputs.teacher.parents[1]
    again = prepare.prepare(resolve(document), root, said.append)
    assert again == inputs
    assert not [
        line for line in said if "epoch" in line or "flip it" in line or "measuring" in line
    ]
    assert [line for line in said if line.startswith("teacher hardened by fgm (epsilon 0.5): acc")]


def test_a_study_keeps_the_measures_of_the_teacher_of_each_draw(document, inputs, tmp_path):
    folder, spec = StudyFolder(tmp_path), resolve(document)
    folder.write_teacher(inputs.outcome)
    folder.write_hardened([(one.defence, one.outcome) for one in inputs.hardened])
    assert folder.teacher_of(draw(spec, "fgm")) == inputs.hardened[0].outcome
    assert folder.teacher_of(draw(spec, "freelb")) == inputs.outcome
    teachers: list[Any] = []
    tracker: Any = SimpleNamespace(
        study=lambda **_: None, view=lambda *_: None, teacher=lambda *a: teachers.append(a)
    )
    watch.begin(tracker, spec, document, folder, inputs)
    (_, own, plain), (name, hardened, knobs) = teachers
    assert (own, hardened) == (inputs.outcome, inputs.hardened[0].outcome)
    assert name == "teacher hardened by fgm (epsilon 0.5)"
    assert plain["method"] == knobs["method"] == "teacher"
    assert (knobs["robust"], knobs["robust.fgm.epsilon"]) == ("fgm", 0.5)
    assert "(hardened by `fgm (epsilon 0.5)`)" in described.hardened(draw(spec, "fgm"))
    assert described.hardened(draw(spec, "freelb")) == ""
    assert "`freelb` in the last 50% of its training" in described.defended(draw(spec, "freelb"))


def test_a_student_of_a_hardened_teacher_is_made_again_from_its_config(
    document, inputs, runs, tmp_path
):
    record = TrialRecord(7, "complete", draw(resolve(document), "fgm"))
    config = tmp_path / "student.yaml"
    config.write_text(dump(reproduction(document, record.number, record.params)))
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "cache").symlink_to(inputs.teacher.parents[1])
    _, student = train_single(config, tmp_path / "again", storage, lambda line: None)
    trained = runs["fgm"][0] / "student/model.safetensors"
    assert (student / "model.safetensors").read_bytes() == trained.read_bytes()


def test_with_a_budget_of_compute_a_defence_has_fewer_updates(document, inputs, tmp_path):
    knobs = {**document["space"]["train"], "budget": "compute", "epochs": 2}
    space = {**document["space"], "train": knobs}
    accuracy = {"accuracy": document["objectives"]["accuracy"]}  # nothing is attacked
    spec, ends = resolve({**document, "space": space, "objectives": accuracy}), {}
    for robust in ("none", "random_table"):
        rungs = []
        (tmp_path / robust).mkdir()
        trial.run(spec, draw(spec, robust), inputs, tmp_path / robust, rungs.append)
        ends[robust] = [rung.updates for rung in rungs]
        assert all(rung.guard is None for rung in rungs)
    size = len(tasks.open_prepared(inputs.task).train)
    each = -(-size // 16)
    assert ends["none"] == [each, 2 * each]
    assert ends["random_table"] == [each]  # an update is two passes


def test_the_same_draw_is_the_same_student(document, inputs, runs, tmp_path):
    spec = resolve(document)
    trial.run(spec, draw(spec, "attack"), inputs, tmp_path, lambda rung: None)
    made = [path / "student/model.safetensors" for path in (tmp_path, runs["attack"][0])]
    assert made[0].read_bytes() == made[1].read_bytes()


def test_a_draw_whose_defence_makes_no_sense_is_infeasible(document, inputs):
    spec = resolve(document)
    params = draw(spec, "ard") | {"method": "finetune"}
    params = {name: value for name, value in params.items() if not name.startswith("method.")}
    (reason,) = draws.infeasible(spec, inputs, params)
    assert "finetune has no teacher" in reason


def test_neighbours_without_a_table_are_refused_before_anything_starts(document, tmp_path):
    bad = {**document, "robustness": {"attacks": ["char"]}}
    with pytest.raises(
        SpecError, match=r"robustness\.resources\.table: missing; random_table needs"
    ):
        prepare.load_task(resolve(bad), lambda line: None)


def test_check_counts_the_passes_of_a_defence(document, tmp_path):
    cost = {}
    for robust in ({"none": {}}, {"vat": {"steps": 2}}):
        study = {**document, "space": {**document["space"], "robust": robust}}
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump(study))
        result = CliRunner().invoke(app, ["check", str(file), "--json"])
        assert result.exit_code == 0, result.output
        cost[next(iter(robust))] = json.loads(result.stdout)["samples"][0]["training_flops"]
    # A clean pass, two steps at two thirds each, and a perturbed pass.
    assert cost["vat"] == pytest.approx(10 / 3 * cost["none"])


def test_check_says_what_is_made_before_the_first_trial(document, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(document))
    result = CliRunner().invoke(app, ["check", str(file), "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    rows, hardened = summary["beforehand"]
    assert rows["what"] == "60 rows of train attacked by char, against the teacher"
    assert hardened["what"] == "a teacher hardened by fgm (epsilon 0.5), 1 epochs"
    # 60 rows, 6 queries and the order's forward and backward pass; a training of 2 passes of 3.
    assert hardened["flops"] / rows["flops"] == pytest.approx(
        3 * summary["task"]["train"] * 2 / (60 * 8)
    )


def test_a_defence_that_cannot_harden_a_teacher_is_refused_before_anything_starts(document):
    bad = {**document, "space": {**document["space"], "robust": {"rslad": {"stage": "teacher"}}}}
    with pytest.raises(SpecError, match=r"space\.robust\.rslad\.stage: teacher: .*no teacher"):
        prepare.load_task(resolve(bad), lambda line: None)
