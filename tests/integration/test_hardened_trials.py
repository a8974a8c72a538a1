"""Hardened students end to end: drawn, refused or trained, measured, and made again."""

from __future__ import annotations

import json

import pytest
import yaml
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests import tiny
from tune_distill import prepare, trial
from tune_distill.cli import app
from tune_distill.errors import SpecError
from tune_distill.robustness.table import Table
from tune_distill.spec import resolve

DEFENCES = ("none", "freelb", "random_char", "random_table")
TABLE = {"film": ["movie"], "superb": ["fine"], "dull": ["boring"], "room": ["hall"]}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    tiny.write_task(folder, train=360)
    tiny.write_teacher(folder / "teacher")
    entries = {word: [(n, float("nan")) for n in near] for word, near in TABLE.items()}
    Table.of(entries).write(folder / "near.parquet")
    files = {split: str(folder / f"{split}.csv") for split in ("train", "validation")}
    return {
        "name": "hardened",
        "task": {"files": files, "text": "sentence", "max_length": 48},
        "teacher": {"model": str(folder / "teacher")},
        "space": {
            "student": {"layers": 1, "hidden_size": 16, "heads": 4},
            "method": {"kd": {}},
            "robust": {
                "none": {},
                "freelb": {"stage": "after", "share": 0.5},
                "random_char": {"weight": 1.0},
                "random_table": {},
                "ard": {},
            },
            "train": {"learning_rate": 3.0e-3, "batch_size": 16, "epochs": 4},
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


def test_students_are_hardened_as_they_were_drawn(document, inputs, tmp_path):
    spec, students = resolve(document), {}
    for robust in DEFENCES:
        params = draw(spec, robust)
        assert prepare.infeasible(spec, inputs, params) == []
        rungs = []
        (tmp_path / robust).mkdir()
        outcome = trial.run(spec, params, inputs, tmp_path / robust, rungs.append)
        # Chance is a half; one word in each text tells its side.
        assert outcome.accuracy > 0.8, robust
        assert 0 <= outcome.robust_worst <= 1
        assert ("robust" in rungs[0].losses) == robust.startswith("random")
        students[robust] = load_file(tmp_path / robust / "student/model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    assert len({float(tensors[name].double().sum()) for tensors in students.values()}) == 4


def test_the_same_draw_is_the_same_student(document, inputs, tmp_path):
    spec, made = resolve(document), []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        trial.run(spec, draw(spec, "random_char"), inputs, tmp_path / folder, lambda rung: None)
        made.append((tmp_path / folder / "student/model.safetensors").read_bytes())
    assert made[0] == made[1]


def test_a_draw_whose_defence_makes_no_sense_is_infeasible(document, inputs):
    spec = resolve(document)
    params = draw(spec, "ard") | {"method": "finetune"}
    params = {name: value for name, value in params.items() if not name.startswith("method.")}
    (reason,) = prepare.infeasible(spec, inputs, params)
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
