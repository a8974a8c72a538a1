"""Exported students in MLflow: models of their trials' runs, registered, loaded back, asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mlflow import MlflowClient
from transformers import pipeline

from tests import tiny, tokens
from tests.integration.test_track import Server
from tune_distill.errors import SpecError
from tune_distill.folder import StudyFolder
from tune_distill.outcome import Outcome
from tune_distill.record import TrialRecord
from tune_distill.track import Tracker
from tune_distill.track.flavour import Student
from tune_distill.track.models import log_student, tracked

pytestmark = [
    # MLflow 3.17 maps its tables with SQLAlchemy's `noload`, which SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    # MLflow 3.17 leaves MLmodel open where it reads a model's size.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def student(folder, seed):
    """A student as an export leaves it, of two classes with names."""
    tokenizer = tokens.tokenizer("wordpiece", folder)
    model = tiny.teacher("bert", seed=seed, vocab_size=len(tokenizer))
    model.config.id2label, model.config.label2id = {0: "no", 1: "yes"}, {"no": 0, "yes": 1}
    model.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlibrary_name: transformers\n---\n# small\n")
    texts = ["A text to classify."]
    return Student(1, "study-trial-1", folder, texts, {"heldout.accuracy": 0.75})


def filed(folder, uri=None):
    """Tells a store of a study with one trial."""
    tracker = Tracker(folder, "study", uri)
    tracker.study()
    outcome = Outcome(0.8, 20.0, parameters=5, flops=7.0)
    tracker.ended(TrialRecord(1, "complete", {"method": "kd"}, outcome, started=9.0, seconds=5.0))
    tracker.finish()
    assert tracker.close(timeout=240) == 0  # a new store is made, which takes its time


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of one trial in a store of its own."""
    folder = StudyFolder(tmp_path_factory.mktemp("study"))
    filed(folder)
    return folder


@pytest.fixture(scope="module")
def client(study):
    return MlflowClient(f"sqlite:///{study.path / 'mlflow.db'}")


@pytest.fixture(scope="module")
def logged(study, tmp_path_factory):
    one = student(tmp_path_factory.mktemp("student"), seed=0)
    return one, log_student(study, one, register="small")


@pytest.mark.slow  # a server takes 10 to 30 seconds to start
@pytest.mark.timeout(600)
def test_a_server_registers_it_too(tmp_path):
    folder, server = StudyFolder(tmp_path / "study"), Server(tmp_path)
    folder.path.mkdir()
    server.start()
    try:
        filed(folder, server.uri)
        where = log_student(folder, student(tmp_path / "student", 0), server.uri, "small")
        version = MlflowClient(server.uri).get_model_version_by_alias("small", "champion")
    finally:
        server.stop()
    assert where.model.removeprefix("models:/") in version.source


def run_of(client):
    every = [one.experiment_id for one in client.search_experiments()]
    (run,) = client.search_runs(every, "tags.`tune_distill.trial` = '1'")
    return run


def test_a_registered_student_is_loaded_back_and_answers_texts(study, logged, monkeypatch):
    from mlflow import pyfunc  # it warns when it is imported, which `logged` has done quietly

    one, where = logged
    assert (where.registered, where.version) == ("models:/small@champion", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{study.path / 'mlflow.db'}")
    loaded = pyfunc.load_model(where.registered)
    texts = ["ab cd ef", "a"]
    answers = loaded.predict(texts)
    expected = pipeline("text-classification", str(one.folder))(texts)
    assert answers["label"].tolist() == [each["label"] for each in expected]
    assert answers["score"].tolist() == pytest.approx([each["score"] for each in expected])
    assert loaded.metadata.signature.inputs.input_types()[0].name == "string"
    assert loaded.metadata.signature.outputs.input_names() == ["label", "score"]
    assert loaded.metadata.saved_input_example_info is not None


def test_it_is_a_model_of_its_trials_run_which_stays_as_it_ended(logged, client):
    run, (_, where) = run_of(client), logged
    (output,) = run.outputs.model_outputs
    assert where.model == f"models:/{output.model_id}"
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.status, model.params["method"]) == ("study-trial-1", "READY", "kd")
    metrics = {metric.key: metric.value for metric in model.metrics}
    assert (metrics["accuracy"], metrics["heldout.accuracy"]) == (0.8, 0.75)
    assert (run.info.status, run.info.start_time, run.info.end_time) == ("FINISHED", 9000, 14000)
    assert len(client.get_metric_history(run.info.run_id, "accuracy")) == 1


def test_its_files_do_not_name_the_folder_that_they_are_from(study, logged):
    (file,) = study.path.glob("artifacts/models/*/artifacts/MLmodel")
    assert str(logged[0].folder) not in file.read_text()
    assert not (file.parent / "LICENSE.txt").exists()
    assert "transformers==" in (file.parent / "requirements.txt").read_text()


def test_the_same_student_again_is_the_same_model_and_another_is_the_next_champion(
    study, logged, client, tmp_path
):
    one, where = logged
    assert log_student(study, one, register="small") == where
    other = log_student(study, replace(student(tmp_path, seed=1), name="second"), register="small")
    assert other.version == "2"
    assert str(client.get_model_version_by_alias("small", "champion").version) == "2"
    assert len(run_of(client).outputs.model_outputs) == 2


def test_a_study_that_no_store_knows_is_refused_with_what_helps(study, logged, tmp_path):
    one = logged[0]
    elsewhere = StudyFolder(tmp_path)
    assert not tracked(elsewhere, None)
    with pytest.raises(SpecError, match="by --tracking-uri, or leave MLflow out by --no-mlflow"):
        log_student(elsewhere, one)
    with pytest.raises(SpecError, match=r"mlflow.db has no run of trial 7"):
        log_student(study, replace(one, number=7))
