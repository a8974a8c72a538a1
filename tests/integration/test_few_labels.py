"""Few labels, end to end: students that learn from texts, and the class that nobody sees."""

from __future__ import annotations

import json

import pytest
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from tests import tiny
from tune_distill import draws, prepare, trial
from tune_distill.cli import app
from tune_distill.spec import resolve

LABELLED = 40


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    tiny.write_task(folder, train=360)
    tiny.write_teacher(folder / "teacher")
    files = {split: str(folder / f"{split}.csv") for split in ("train", "validation")}
    task = {"files": files, "text": "sentence", "max_length": 48, "labelled_rows": LABELLED}
    return {
        "name": "few",
        "task": task,
        "teacher": {"model": str(folder / "teacher")},
        "space": {
            "student": {"layers": 1, "hidden_size": 16, "heads": 4},
            "method": {"finetune": {}, "kd": {}},
            "robust": {"none": {}, "ganbert": {}},
            "train": {"learning_rate": 3.0e-3, "batch_size": 16, "epochs": 2},
        },
        "objectives": {
            "accuracy": {"goal": "max", "reference": 0.4},
            "robust_worst": {"goal": "max", "reference": 0.0},
        },
        "robustness": {"attacks": ["char"], "rows": 8, "budget": 4},
    }


@pytest.fixture(scope="module")
def inputs(document, tmp_path_factory):
    return prepare.prepare(resolve(document), tmp_path_factory.mktemp("cache"), lambda line: None)


def run(document, inputs, folder, method, robust):
    spec, rungs = resolve(document), []
    chosen = {"method": method, "robust": robust}
    params = spec.search_space.draw(lambda name, distribution: chosen[name]) | {"train.seed": 5}
    assert draws.infeasible(spec, inputs, params) == []
    folder.mkdir()
    return trial.run(spec, params, inputs, folder, rungs.append), rungs


@pytest.mark.parametrize("method", ["finetune", "kd"])
def test_a_student_has_the_classes_of_the_task_and_no_more(document, inputs, tmp_path, method):
    plain, semi = (
        run(document, inputs, tmp_path / robust, method, robust) for robust in ("none", "ganbert")
    )
    files = [tmp_path / robust / "student" for robust in ("none", "ganbert")]
    tensors = [load_file(file / "model.safetensors") for file in files]
    shapes = [{name: tensor.shape for name, tensor in one.items()} for one in tensors]
    assert shapes[0] == shapes[1]
    assert AutoModelForSequenceClassification.from_pretrained(files[1]).config.num_labels == 2
    assert load_file(files[1] / "reference.safetensors")["logits"].shape[1] == 2
    assert trial.reference_error(files[1], files[1] / "reference.safetensors") < 1e-5
    assert plain[0].parameters == semi[0].parameters
    assert 0 <= semi[0].robust_worst <= 1
    assert {"real", "fake", "fooling", "matching"} <= semi[1][0].losses.keys()


def test_the_rows_that_each_student_learns_from_are_counted(document, inputs, tmp_path):
    """40 of 312 rows have a label: an epoch shows them int(log2(312 // 40)) = 2 times."""
    train = prepare.tasks.open_prepared(inputs.task).train
    rows = len(train)
    assert (rows, len(train.labelled())) == (312, LABELLED)
    expected = {
        ("finetune", "none"): LABELLED,
        ("finetune", "ganbert"): rows + LABELLED,
        ("kd", "none"): rows,
    }
    flops = {}
    for (method, robust), shown in expected.items():
        _, rungs = run(document, inputs, tmp_path / f"{method}-{robust}", method, robust)
        assert rungs[0].updates == -(-shown // 16)
        space = {**document["space"], "method": {method: {}}, "robust": {robust: {}}}
        file = tmp_path / "study.yaml"
        file.write_text(yaml.safe_dump({**document, "space": space}))
        result = CliRunner().invoke(app, ["check", str(file), "--json"])
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["task"]["unlabelled"] == rows - LABELLED
        flops[shown] = found["samples"][0]["training_flops"]
    for shown, cost in flops.items():
        assert cost / flops[LABELLED] == pytest.approx(shown / LABELLED)
