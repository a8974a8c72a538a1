"""Students that read other tokens than their teacher: trained, measured, exported, reproduced."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tests import reading_study
from tests.reading_study import FEW
from tune_distill import cache, draws, measure, prepare, reading, signals, student, tasks, trial
from tune_distill.cli.single import train_single
from tune_distill.export import Source, bundle
from tune_distill.folder import StudyFolder
from tune_distill.methods import METHODS
from tune_distill.record import TrialRecord
from tune_distill.spec import resolve

FULL = "full"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    reading_study.write(folder)
    return folder


@pytest.fixture(scope="module")
def study(home):
    return reading_study.study(home)


@pytest.fixture(scope="module")
def inputs(home, study):
    return prepare.prepare(study[1], home / "cache", lambda line: None)


def params(home, spec, method, checkpoint=None, vocab=FULL):
    """A draw of the study's space: every knob that it leaves open, chosen."""
    chosen = {"method": method, "student.vocab": vocab}
    chosen["student.checkpoint"] = str(home / checkpoint) if checkpoint else None
    drawn = spec.search_space.draw(lambda name, distribution: chosen[name])
    return drawn | {"train.seed": 5}


@pytest.fixture(scope="module")
def run(home, study, inputs, tmp_path_factory):
    """Runs a trial once; gives (params, outcome, folder)."""
    made = {}

    def once(method, checkpoint=None, vocab=FULL):
        key = (method, checkpoint, vocab)
        if key not in made:
            drawn, folder = params(home, study[1], *key), tmp_path_factory.mktemp("trial")
            assert draws.infeasible(study[1], inputs, drawn) == []
            outcome = trial.run(study[1], drawn, inputs, folder, lambda rung: None)
            made[key] = drawn, outcome, folder
        return made[key]

    return once


EVERY = [("kd", None, FEW), ("minilm2", None, FEW), ("pkd", "kin", FEW), ("kd", "stranger", FULL)]
EVERY += [("kd", "stranger", FEW), ("finetune", "kin", FULL)]


@pytest.mark.parametrize("key", EVERY)
def test_a_saved_student_reads_and_answers_as_it_was_trained(run, inputs, key):
    _, _, folder = run(*key)
    saved = folder / "student"
    assert trial.reference_error(saved, saved / "reference.safetensors") == 0

    tokenizer = AutoTokenizer.from_pretrained(saved)
    model = AutoModelForSequenceClassification.from_pretrained(saved).eval()
    own = next(
        r
        for r in inputs.readings
        if (r.checkpoint and r.checkpoint.rpartition("/")[2], r.vocab) == key[1:]
    )
    task = tasks.open_prepared(own.task)
    texts, kept = task.rows("search").texts[0][:8], load_file(saved / "reference.safetensors")
    made = tokenizer(texts, padding=True, return_tensors="pt", truncation=True, max_length=48)
    assert (made["input_ids"] == kept["input_ids"]).all()
    with torch.no_grad():
        logits = model(**made).logits
    torch.testing.assert_close(logits, kept["logits"], rtol=1e-5, atol=1e-6)
    assert len(tokenizer) == model.config.vocab_size
    assert model.get_input_embeddings().num_embeddings == model.config.vocab_size
    assert pipeline("text-classification", str(saved))("the film was superb")


def test_the_size_counts_the_embeddings_that_are_left(run):
    full, few = (run("kd", None, vocab) for vocab in (FULL, FEW))
    whole = AutoModelForSequenceClassification.from_pretrained(full[2] / "student")
    gone = whole.config.vocab_size - FEW
    assert gone > 0
    assert full[1].parameters - few[1].parameters == gone * 16  # the student's width
    weights = load_file(few[2] / "student/model.safetensors")
    assert few[1].parameters == sum(tensor.numel() for tensor in weights.values())
    assert few[1].size_mb == pytest.approx(4e-6 * few[1].parameters)


@pytest.mark.parametrize("key", [("kd", None, FULL), ("kd", None, FEW), ("kd", "stranger", FEW)])
def test_a_constraint_knows_a_students_measures_before_it_is_built(run, study, inputs, key):
    drawn, outcome, _ = run(*key)
    measures = {name: outcome.measures()[name] for name in ("size_mb", "parameters", "flops")}

    def asked(relation):
        texts = [f"{name} {relation} {value!r}" for name, value in measures.items()]
        return resolve(study[0] | {"constraints": [*texts, "accuracy >= 1.0"]})

    assert draws.infeasible(asked("<="), inputs, drawn) == []  # exactly what it will measure
    assert draws.infeasible(asked("<"), inputs, drawn) == [
        f"{name} would be {value:.15g}; asked for is {name} < {value:.15g}"
        for name, value in measures.items()
    ]


def test_students_learn_in_other_tokens(run):
    # Chance is a half; one word in each text tells its side.
    assert run("kd", None, FEW)[1].accuracy > 0.8
    assert 0 <= run("kd", None, FEW)[1].robust_worst <= 1
    assert run("minilm2", None, FEW)[1].flops > run("minilm2", None, FULL)[1].flops  # longer texts


def test_the_search_rows_are_answered_once_a_rung_and_again_only_after_an_interruption(
    run, home, study, inputs, tmp_path, monkeypatch
):
    drawn, expected, _ = run("kd", None, FEW)
    asked = []

    def counted(where):
        def predict(model, data, device, *more):
            asked.append(where)
            return predicted(model, data, device, *more)

        return predict

    predicted, measured = trial.predict, measure.measure
    monkeypatch.setattr(trial, "predict", counted("rung"))
    monkeypatch.setattr(measure, "predict", counted("end"))
    monkeypatch.setattr(measure, "measure", lambda *_, **__: 1 / 0)  # interrupted there
    with pytest.raises(ZeroDivisionError):
        trial.run(study[1], drawn, inputs, tmp_path, lambda rung: None)
    assert asked == ["rung"] * drawn["train.epochs"]
    monkeypatch.setattr(measure, "measure", measured)
    outcome = trial.run(study[1], drawn, inputs, tmp_path, lambda rung: None)
    assert asked[drawn["train.epochs"] :] == ["end"]  # its epochs were done
    assert outcome == expected


@pytest.mark.parametrize("method", ["kd", "minilm2", "pkd"])
def test_a_live_teacher_serves_other_tokens_as_the_cache_does(
    run, home, study, inputs, tmp_path, method
):
    drawn, _, folder = run(method, None, FEW)
    rungs = []
    live = dataclasses.replace(inputs, signals=None)
    trial.run(study[1], drawn, live, tmp_path, rungs.append)
    first, kept = rungs[0].losses, trial.read_rungs(folder)[0].losses
    assert first.keys() == kept.keys()
    for name, value in first.items():
        # The cache holds float16, 11 bits of each signal; later epochs magnify that.
        assert value == pytest.approx(kept[name], rel=0.01, abs=1e-3), name


def test_rows_that_read_otherwise_teach_no_features(inputs):
    own = next(r for r in inputs.readings if (r.checkpoint, r.vocab) == (None, FEW))
    aligned = reading.alignment(own, inputs.teacher, inputs.task)
    # The student is the teacher itself with fewer tokens: it makes the same of rows that read the
    # same. The others it would read otherwise, and nothing is asked of it there.
    model, method = reading.source(own), METHODS["minilm2"](teacher_layer=2)
    given, asked = method.needs(*[student.shape(model.config)] * 2)
    teacher = cache.LiveTeacher(reading.model(inputs.teacher), alignment=aligned)
    for same in (True, False):
        batch = tasks.open_prepared(own.task).train.batch(np.flatnonzero(aligned.same == same)[:6])
        with torch.no_grad():
            found = signals.run(model, batch.inputs(), asked)
        taught = teacher(batch, given)
        terms = method.loss(found, taught, batch, None)
        for name in ("queries", "keys", "values"):
            assert float(terms[name]) == pytest.approx(0, abs=1e-6)
        if not same:
            taught.mask = batch.attention_mask.bool()  # as if the rows were aligned
            assert float(method.loss(found, taught, batch, None)["queries"]) > 0.01


@pytest.mark.parametrize("key", [("minilm2", None, FEW), ("kd", "stranger", FEW)])
def test_an_exported_student_is_trained_again_bit_for_bit(home, study, run, tmp_path, key):
    document, spec = study
    drawn, outcome, folder = run(*key)
    record = TrialRecord(number=7, state="complete", params=drawn, outcome=outcome)
    place = StudyFolder(tmp_path / "studies" / "readings")
    place.trial(7).mkdir(parents=True)
    (folder / "student").rename(place.student(7))
    try:
        exported = tmp_path / "exported"
        bundle(Source(place, document, spec, [record]), record, exported)
    finally:
        place.student(7).rename(folder / "student")
    again, target = train_single(
        exported / "student.yaml", tmp_path / "again", home, lambda line: None
    )
    assert again.measures() == outcome.measures()
    for name in ("model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"):
        assert (target / name).read_bytes() == (exported / name).read_bytes(), name
    card = (exported / "README.md").read_text()
    whose = f"started from `{key[1]}` and reads the {FEW} of its tokens"
    assert (whose if key[1] else f"It reads the {FEW} of its teacher's tokens") in card
    assert json.loads((exported / "config.json").read_text())["vocab_size"] == FEW
