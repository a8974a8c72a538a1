"""An exported student in all its forms: each answers as the trained one, and says how well."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests import export_study, tiny
from tune_distill import prepare
from tune_distill.cli.single import compared
from tune_distill.confirm.read import metrics, opened, place
from tune_distill.confirm.run import Confirming, Found, key
from tune_distill.errors import DataError, ExportMismatch, NoFeasibleStudent
from tune_distill.export import Bench, Source, Wanted, all_front, bundle
from tune_distill.forms import onnx
from tune_distill.forms.served import Served
from tune_distill.measure.attack_rows import read_rows
from tune_distill.measure.robustness import robustness, select_rows
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.resources import attacks
from tune_distill.spec.bounds import Bound

TEXTS = ["the film was superb", "a cold soup", "the room felt very dull and the plot was awful"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return export_study.make(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def bench(source):
    folder = source.folder
    return Bench(source.spec, folder.cache, folder.teacher_model(), lambda line: None)


@pytest.fixture(scope="module")
def exported(source, bench, tmp_path_factory):
    """The second student in every form, and its figures."""
    to = tmp_path_factory.mktemp("students") / "two"
    return to, bundle(source, source.records[1], to, wanted=Wanted(True, True), bench=bench)


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def asked(one, tokenizer, texts):
    inputs = tokenizer(texts, padding=True, return_tensors="np")
    return one.run(["logits"], {each.name: inputs[each.name] for each in one.get_inputs()})[0]


def test_the_folder_holds_what_its_readers_look_for(exported):
    to, _ = exported
    found = {str(path.relative_to(to)) for path in to.rglob("*") if path.is_file()}
    assert found >= {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"}
    assert found >= {"onnx/model.onnx", "onnx/model_quantized.onnx"}  # transformers.js's names
    assert found >= {"README.md", "student.yaml", "metrics.json", "environment.txt"}
    assert not any("reference" in name for name in found)
    assert (to / "front.png").read_bytes().startswith(b"\x89PNG\r\n")
    lines = (to / "environment.txt").read_text().splitlines()
    assert f"torch=={torch.__version__}" in lines
    assert all(line.startswith("#") or "==" in line for line in lines)


def test_onnx_answers_padded_texts_as_pytorch_does(exported):
    to, figures = exported
    model, tokenizer = (
        kind.from_pretrained(to) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    with torch.inference_mode():
        expected = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.numpy()
    found = asked(session(to / onnx.FLOAT), tokenizer, TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert figures["onnx"].max_error < onnx.TOLERANCE


def test_the_cards_own_lines_run(exported, monkeypatch):
    to, _ = exported
    blocks = re.findall(r"```python\n(.*?)```", (to / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        names = {}
        exec(block.replace("path/to/this/folder", str(to)), names)
    assert names["logits"].shape == (1, 2)


def test_int8s_held_out_accuracy_is_that_of_its_own_answers_one_by_one(exported, bench):
    to, figures = exported
    one, tokenizer = session(to / onnx.INT8), AutoTokenizer.from_pretrained(to)
    rows = bench.task.heldout
    found = [asked(one, tokenizer, [text])[0].argmax() for text in rows.texts[0]]
    right = (np.array(found) == rows.labels).mean()
    assert figures["int8"].heldout["heldout"]["accuracy"].score == pytest.approx(right)
    exact = asked(session(to / onnx.FLOAT), tokenizer, rows.texts[0]).argmax(axis=1)
    assert figures["int8"].against.differing == (np.array(found) != exact).sum()
    assert figures["int8"].against.rows == len(rows)


def test_an_attack_on_float32_onnx_ends_as_the_trials_own_row_by_row(source, exported, bench):
    """The gradient is the twin's, so the attack is the same one."""
    to, _ = exported
    twin, tokenizer = (
        kind.from_pretrained(to) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    labels = np.asarray(bench.task.search.labels, np.int64)
    rows = bench.task.search.take(select_rows(labels, 16))
    found = robustness(
        Served(to / onnx.FLOAT, twin),
        tokenizer,
        rows.texts,
        np.asarray(rows.labels, np.int64),
        attacks(source.spec.robustness),
        max_length=24,
    )
    (own,) = found.attacks.values()
    ((identity, theirs),) = read_rows(source.folder.trial(1) / "attacks.parquet").items()
    assert own.recipe.shown == identity
    assert (own.result.outcomes == RowOutcome.ROBUST).tolist() == theirs.tolist()
    assert 0 < theirs.sum() < 16  # rows of both kinds, or this says little


def test_metrics_json_and_card_tell_the_same_figures(source, exported):
    to, figures = exported
    told = json.loads((to / "metrics.json").read_text())
    assert told["outcome"] == source.records[1].outcome.to_json()
    assert list(told["forms"]) == ["pytorch", "onnx", "int8", "teacher"]
    assert told["forms"]["int8"]["robust"].keys() == {
        "robust_worst",
        "clean_on_attacked",
        "robust_char",
    }
    text = (to / "README.md").read_text()
    for name, one in figures.items():
        assert told["forms"][name] == json.loads(json.dumps(one.to_json()))
        low, middle, high = (
            f"{ms:.3g}" for ms in (one.latency.low_ms, one.latency.median_ms, one.latency.high_ms)
        )
        assert f"{middle} ({low} to {high})" in text
    size = (to / onnx.INT8).stat().st_size / 1e6
    assert told["forms"]["int8"]["size_mb"] == pytest.approx(size)
    assert told["machine"]["processor"] in text


def test_onnx_that_computes_something_else_leaves_no_folder(source, tmp_path, monkeypatch):
    def another(model, inputs, path):
        path.parent.mkdir()
        wrong = tiny.bert(layers=1, hidden_size=16)
        wrong.resize_token_embeddings(model.config.vocab_size, mean_resizing=False)
        write(wrong, inputs, path)

    write = onnx.write_onnx
    monkeypatch.setattr(onnx, "write_onnx", another)
    with pytest.raises(ExportMismatch, match="ONNX logits differ"):
        bundle(source, source.records[0], tmp_path / "wrong", wanted=Wanted(onnx=True))
    assert list(tmp_path.iterdir()) == []


def test_a_front_is_written_whole_with_an_index(source, tmp_path):
    to = tmp_path / "front"
    written = all_front(source, to)
    assert [one.record.number for one in written] == list(source.front.members)
    told = json.loads((to / "index.json").read_text())
    assert [one["trial"] for one in told["students"]] == list(source.front.members)
    for one in told["students"]:
        assert (to / one["folder"] / "model.safetensors").is_file()
        assert f"[{one['folder']}]({one['folder']})" in (to / "index.md").read_text()
    assert [one["trial"] for one in told["students"] if one["knee"]] == [source.front.knee]
    with pytest.raises(DataError, match="exists already"):
        all_front(source, to)
    small = all_front(source, to, where=(Bound.parse("size_mb <= 0.05"),), replace=True)
    assert [one.record.number for one in small] == [0]
    assert not Path(to / "trial-1").exists()


@pytest.fixture(scope="module")
def looked(source, tmp_path_factory):
    """What a confirmation files of the second student as it was found, and its forms."""
    inputs = prepare.prepare(source.spec, source.folder.cache, lambda line: None)
    record, folder = source.records[1], tmp_path_factory.mktemp("look")
    found = {key(record.params): Found(source.folder.student(1), record.outcome)}
    forms = {key(record.params): Wanted(onnx=True, int8=True)}
    run = Confirming(found, 16, forms)
    assert run(source.spec, record.params, inputs, folder, None) == record.outcome
    return run, inputs, folder


def test_each_form_reads_the_held_out_rows_by_itself(source, exported, looked):
    to, figures = exported
    _, _, folder = looked
    plain, exact, int8 = (opened(place(folder, form)) for form in ("pytorch", "onnx", "int8"))
    for form, one in (("pytorch", plain), ("onnx", exact), ("int8", int8)):
        assert one.outcome.accuracy == figures[form].heldout["heldout"]["accuracy"].score
        assert len(one.robust) == 16
    assert (exact.robust == plain.robust).all()  # the same gradient, the same attack
    np.testing.assert_allclose(exact.logits, plain.logits, atol=1e-4)
    assert 1e-4 < np.abs(int8.logits - plain.logits).max() < 1.0
    sizes = [(to / path).stat().st_size / 1e6 for path in (onnx.FLOAT, onnx.INT8)]
    assert [exact.outcome.size_mb, int8.outcome.size_mb] == pytest.approx(sizes, rel=1e-6)
    assert metrics(folder)["int8.heldout.accuracy"] == int8.outcome.accuracy


def test_a_look_is_taken_again_where_other_rows_are_to_be_attacked(source, looked):
    run, inputs, folder = looked
    params = source.records[1].params
    assert run.unread(source.spec, params, folder) == []
    more = replace(run, rows=20, forms={})
    assert more.unread(source.spec, params, folder) == ["pytorch"]
    more.read(source.spec, params, inputs, folder, "cpu")
    assert len(opened(folder).robust) == 20
    assert run.unread(source.spec, params, folder) == ["pytorch"]  # the forms keep theirs


def test_a_confirmed_front_is_what_is_written_of_a_front(source, tmp_path):
    """Of two students that the search has on its front fresh seeds left the one, as int8."""

    def model(number, form, on_front):
        record = source.records[number]
        interval = {"low": 0.6, "high": 0.8}
        seeds = {"mean": 0.7, "sd": 0.02, "interval": interval, "found": 0.71}
        return {
            **{"name": f"trial {number}", "role": "front", "form": form, "trial": number},
            **{"params": dict(record.params), "heldout": {"accuracy": seeds}, "latency": None},
            **{"objectives": {}, "on_front": on_front, "front_probability": 0.5},
        }

    told = {"schema": 2, "models": [model(0, "pytorch", False), model(1, "pytorch", False)]}
    told["models"].append(model(1, "int8", True))
    folder = tmp_path / "studies" / "two"
    shutil.copytree(source.folder.path, folder)
    shutil.copytree(source.folder.cache, folder.parent / "cache")
    beside = {"seeds": 3, "rows": 50, "attacked_rows": None, "latency": None, "claims": []}
    taught = {
        "teacher": {"accuracy": 0.9},
        "teacher_intervals": {"accuracy": {"low": 0, "high": 1}},
    }
    (folder / "confirm.json").write_text(
        json.dumps({**told, **beside, **taught, "metric": "accuracy"})
    )
    own = Source.of(type(source.folder)(folder), source.document)
    written = all_front(own, tmp_path / "front")
    assert [one.record.number for one in written] == [1]
    index = json.loads((tmp_path / "front/index.json").read_text())
    assert index["confirmed"]
    assert [one["form"] for one in index["students"][0]["confirmed"]] == ["pytorch", "int8"]
    told = (tmp_path / "front/index.md").read_text()
    assert told.startswith("# The confirmed front of two")
    assert "| 0.7000 \u00b1 0.0200, ONNX int8 0.7000 \u00b1 0.0200 |" in told
    metrics = json.loads((tmp_path / "front/trial-1/metrics.json").read_text())
    assert metrics["confirmed"]["seeds"] == 3
    with pytest.raises(NoFeasibleStudent, match="no trial of the confirmed front"):
        all_front(own, tmp_path / "none", where=(Bound.parse("size_mb <= 0.05"),))


def test_a_front_with_a_damaged_student_is_not_written(source, tmp_path, monkeypatch):
    def fails_at_the_second(*given, **options):
        if made:
            raise ExportMismatch("damaged")
        made.append(real(*given, **options))

    made, real = [], bundle
    monkeypatch.setattr("tune_distill.export.whole_front.bundle", fails_at_the_second)
    with pytest.raises(ExportMismatch):
        all_front(source, tmp_path / "front")
    assert list(tmp_path.iterdir()) == []


def test_a_reproduction_is_held_against_the_exports_own_figures(source, exported):
    to, _ = exported
    outcome = source.records[1].outcome
    assert compared(outcome, to / "metrics.json").startswith("the same in every measure as ")
    told = compared(replace(outcome, flops=1.0), to / "metrics.json")
    assert told.startswith(f"not as {to / 'metrics.json'}: flops {outcome.flops:.6g} there, 1 here")
    assert "nothing to compare with" in compared(outcome, to / "none.json")
