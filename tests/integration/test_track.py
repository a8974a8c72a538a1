"""A search as MLflow keeps it: on real SQLite stores, and on a server that comes and goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tune_distill.errors import DataError, SpecError
from tune_distill.folder import StudyFolder
from tune_distill.outcome import Interval, Outcome
from tune_distill.record import Rung, TrialRecord
from tune_distill.track import DatasetUse, Tracker, sender, writer
from tune_distill.track.uri import redacted

# MLflow 3.17 maps its tables with SQLAlchemy's `noload`, which SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def outcome(accuracy=0.8, size_mb=20.0):
    intervals = {"accuracy": Interval(accuracy - 0.02, accuracy + 0.01)}
    return Outcome(accuracy, size_mb, parameters=5, flops=7.0, intervals=intervals)


def rung(epoch, accuracy=0.7):
    return Rung(epoch, 10 * epoch, accuracy, {"total": 1.0 / epoch, "soft": 0.5}, 2.0 * epoch)


def record(number, state="complete", **changes):
    given = {
        "params": {"method": "kd", "student.layers": 2, "train.learning_rate": 2e-5},
        "outcome": outcome() if state == "complete" else None,
        "rungs": (rung(1), rung(2)),
        "started": 1000.0,
        "seconds": 5.0,
        **changes,
    }
    return TrialRecord(number, state, **given)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The first search of all, in a process of its own: its output, its directory, its store."""
    root = tmp_path_factory.mktemp("first")
    (root / "cwd").mkdir()
    (root / "study").mkdir()
    code = (
        "import sys; from pathlib import Path; from tune_distill.folder import StudyFolder\n"
        "from tune_distill.track import Tracker\n"
        "with Tracker(StudyFolder(Path(sys.argv[1])), 'study') as t: t.study()\n"
    )
    # Relative, as a user types it.
    done = subprocess.run(
        [sys.executable, "-c", code, "../study"],
        cwd=root / "cwd",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    return root, done


@pytest.fixture
def folder(tmp_path, first):
    """A study's folder whose store knows another study of the same name; creating one is slow."""
    path = tmp_path / "a study"
    path.mkdir()
    shutil.copy(first[0] / "study" / "mlflow.db", path / "mlflow.db")
    return StudyFolder(path)


def store(folder):
    return f"sqlite:///{folder.path / 'mlflow.db'}"


def every_run(folder, uri=None):
    client = MlflowClient(uri or store(folder))
    experiments = [e.experiment_id for e in client.search_experiments()]
    study_id = (folder.path / "outbox" / "study_id").read_text()
    return client.search_runs(experiments, f"tags.`tune_distill.study_id` = '{study_id}'")


def runs(folder, uri=None):
    """The study's run, and its trials by number."""
    trials = {}
    for run in every_run(folder, uri):
        number = run.data.tags.get("tune_distill.trial")
        if "tune_distill.teacher" not in run.data.tags:
            assert number not in trials, f"two runs for trial {number}"
            trials[number] = run
    study = trials.pop(None)
    return study, {int(n): run for n, run in trials.items()}


def others(folder, uri=None):
    """The study's run, and its teachers'."""
    found = [r for r in every_run(folder, uri) if "tune_distill.trial" not in r.data.tags]
    (study,) = [r for r in found if "mlflow.parentRunId" not in r.data.tags]
    return study, [r for r in found if r is not study]


def history(folder, run, metric, uri=None):
    points = MlflowClient(uri or store(folder)).get_metric_history(run.info.run_id, metric)
    return [(p.step, p.value) for p in sorted(points, key=lambda p: p.step)]


def changes(folder):
    lines = (folder.path / "outbox" / "changes.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def tell(tracker, folder):
    """A whole small search: two complete trials, a stopped and a failed one."""
    front = folder.path / "front.json"
    front.write_text("{}")
    digest = DatasetUse("reviews", "0123abcd" * 8, "train", "builtin", rows=12)
    tracker.study({"search.trials": 4}, {"owner": "me"}, [digest])
    tracker.started(0, record(0).params, at=1000.0)
    tracker.reported(0, rung(1))
    tracker.reported(0, rung(2))
    tracker.ended(record(0))
    tracker.front([0], 0.25, step=1)
    tracker.started(1, record(1).params)
    tracker.reported(1, rung(1))
    tracker.ended(record(1, "pruned", rungs=(rung(1),), reason="stopped at epoch 1"))
    tracker.ended(record(2, "failed", rungs=(), reason="loss is nan"))
    tracker.ended(record(3, outcome=outcome(0.9, 10.0)))
    tracker.front([3], 0.5, step=4, artifacts={"front.json": front})


def check(folder, uri=None):
    """All of `tell` is there, and once."""
    study, trials = runs(folder, uri)
    assert study.info.status == "FINISHED"
    assert history(folder, study, "hypervolume", uri) == [(1, 0.25), (4, 0.5)]
    assert history(folder, study, "front_size", uri) == [(1, 1.0), (4, 1.0)]
    statuses = {n: run.info.status for n, run in trials.items()}
    assert statuses == {0: "FINISHED", 1: "KILLED", 2: "FAILED", 3: "FINISHED"}
    on_front = {n: run.data.tags["on_front"] for n, run in trials.items()}
    assert on_front == {0: "false", 1: "false", 2: "false", 3: "true"}
    for number in (0, 3):
        assert history(folder, trials[number], "rung.accuracy", uri) == [(1, 0.7), (2, 0.7)]
        assert history(folder, trials[number], "loss.total", uri) == [(1, 1.0), (2, 0.5)]
    assert history(folder, trials[3], "accuracy", uri) == [(0, 0.9)]
    client = MlflowClient(uri or store(folder))
    assert [a.path for a in client.list_artifacts(study.info.run_id)] == ["front.json"]


def test_the_first_search_says_nothing_and_leaves_nothing_in_the_current_directory(first):
    root, done = first
    assert (done.stdout, done.stderr) == ("", "")
    assert list((root / "cwd").iterdir()) == []
    assert {p.name for p in (root / "study").iterdir()} == {"mlflow.db", "outbox"}


def test_a_search_becomes_a_run_with_a_nested_run_for_each_trial(folder):
    with Tracker(folder, "study") as tracker:
        tell(tracker, folder)
    check(folder)
    study, trials = runs(folder)
    assert study.info.run_name == "study"
    assert study.data.params == {"search.trials": "4"}
    assert study.data.tags["tune_distill.data.train"] == "0123abcd" * 8
    (used,) = study.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("reviews", ("0123abcd" * 8)[:36])
    assert [(t.key, t.value) for t in used.tags] == [("mlflow.data.context", "train")]
    trial = trials[0]
    assert trial.info.run_name == "trial 0"
    assert trial.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert trial.data.tags["method"] == "kd"
    assert trial.data.tags["state"] == "complete"
    assert trial.data.params == {
        "method": "kd",
        "student.layers": "2",
        "train.learning_rate": "2e-05",
    }
    # Started at 1000 s, worked for 5 s.
    assert (trial.info.start_time, trial.info.end_time) == (1_000_000, 1_005_000)
    assert trials[3].info.start_time == 1_000_000
    rungs = ("rung.", "loss.")
    final = {k: v for k, v in trials[3].data.metrics.items() if not k.startswith(rungs)}
    assert final == {
        "accuracy": 0.9,
        "accuracy.low": 0.88,
        "accuracy.high": 0.91,
        "size_mb": 10.0,
        "parameters": 5.0,
        "flops": 7.0,
        "seconds": 5.0,
    }
    assert "accuracy" not in trials[1].data.metrics
    assert trials[2].data.tags["reason"] == "loss is nan"


def test_the_teacher_is_a_run_beside_its_students_with_the_same_measures(folder):
    measured = replace(outcome(0.95, 400.0), at_chance=True)
    for _ in range(2):  # a resumed search tells it again
        with Tracker(folder, "study") as tracker:
            tracker.study()
            tracker.teacher("teacher", measured, {"student.layers": 12})
            tracker.ended(record(0))
    study, teachers = others(folder)
    (own,) = teachers
    _, trials = runs(folder)
    rungs = ("rung.", "loss.", "seconds")
    of_trial = {k for k in trials[0].data.metrics if not k.startswith(rungs)}
    assert own.data.metrics.keys() == of_trial
    assert own.data.metrics["accuracy"] == 0.95
    assert history(folder, own, "accuracy") == [(0, 0.95)]
    assert (own.info.run_name, own.info.status) == ("teacher", "FINISHED")
    assert own.data.tags["mlflow.parentRunId"] == study.info.run_id
    shown = {k: own.data.tags[k] for k in ("method", "on_front", "at_chance")}
    assert shown == {"method": "teacher", "on_front": "teacher", "at_chance": "true"}
    assert own.data.params == {"student.layers": "12"}
    client = MlflowClient(store(folder))
    found = client.search_runs([study.info.experiment_id], "tags.on_front != 'false'")
    assert {r.info.run_name for r in found if r.data.tags["mlflow.parentRunId"]} == {"teacher"}


def test_what_is_shared_and_read_is_on_every_run(folder):
    with Tracker(folder, "study") as tracker:
        use = DatasetUse("reviews", "0123abcd", "search")
        tracker.study(datasets=[use], shared={"git": "9a94a93"})
        tracker.teacher("teacher", outcome())
        tracker.started(0, {"method": "kd", "train.seed": 17})
        tracker.reported(0, rung(1))
        tracker.reported(0, rung(2))
    study, teachers = others(folder)
    _, trials = runs(folder)
    for run in (study, *teachers, trials[0]):
        assert run.data.tags["git"] == "9a94a93"
        (used,) = run.inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("reviews", "0123abcd")
    tags = trials[0].data.tags
    assert (tags["method"], tags["seed"], tags["rung"]) == ("kd", "17", "2")


def test_a_note_becomes_the_description_with_the_runs_own_ids(folder):
    file = folder.path / "front.md"
    with Tracker(folder, "study") as tracker:
        tracker.study(tags={"mlflow.note.content": "what for"})
        for step in (1, 2):
            file.write_text(
                f"{step}: [page](#/experiments/{{experiment}}/runs/{{run}}) http://a:b@c"
            )
            tracker.front([], 0.0, step, note=file)
    with Tracker(folder, "study") as tracker:
        tracker.study(tags={"mlflow.note.content": "what for"})  # resumed, it stays current
    study, _ = runs(folder)
    ids = f"#/experiments/{study.info.experiment_id}/runs/{study.info.run_id}"
    assert study.data.tags["mlflow.note.content"] == f"2: [page]({ids}) http://c"


def test_a_view_of_the_studys_runs_is_shared_in_its_experiment(folder):
    with Tracker(folder, "study") as tracker:
        tracker.study()
        tracker.view({"accuracy": "max", "size_mb": "min"}, ["method", "student.layers"])
    study, _ = runs(folder)
    key = (folder.path / "outbox" / "study_id").read_text()
    client = MlflowClient(store(folder))
    experiment = client.get_experiment(study.info.experiment_id)
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{key}"])
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`accuracy`", False)
    columns = ["metrics.`accuracy`", "metrics.`size_mb`", "params.`method`"]
    assert view["selectedColumns"][:3] == columns
    scatter, parallel = view["compareRunCharts"]
    # What a student costs lies below what it is worth.
    assert (scatter["xaxis"]["key"], scatter["yaxis"]["key"]) == ("size_mb", "accuracy")
    assert parallel["selectedParams"] == ["method", "student.layers"]
    found = client.search_runs([experiment.experiment_id], view["searchFilter"])
    assert [r.info.run_id for r in found] == [study.info.run_id]
    assert not [tag for tag in study.data.tags if "sharedViewState" in tag]


def test_no_password_reaches_the_store_or_the_outbox(folder):
    secret = "http://bob:hunter2@host/x?token=hunter2"
    with Tracker(folder, "study") as tracker:
        use = DatasetUse("reviews", "0123abcd", "train", f"files at {secret}")
        params = {"task.files.train": secret}
        tracker.study(
            params, {"mlflow.note.content": f"see {secret}"}, [use], shared={"git": secret}
        )
        tracker.teacher("teacher", outcome(), {"model": secret})
        tracker.ended(record(0, "failed", params=params, reason=f"OSError: {secret} is away"))
    study, trials = runs(folder)
    assert study.data.params["task.files.train"] == "http://host/x"
    assert trials[0].data.tags["reason"] == "OSError: http://host/x is away"
    told = (folder.path / "outbox" / "changes.jsonl").read_bytes()
    with sqlite3.connect(folder.path / "mlflow.db") as connection:
        kept = "\n".join(connection.iterdump())
    assert "http://host/x" in kept
    assert "hunter2" not in kept
    assert b"hunter2" not in told


def test_a_new_experiment_is_of_models_and_not_of_agents(first):
    client = MlflowClient(f"sqlite:///{first[0] / 'study' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("study")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_telling_the_same_story_again_is_no_news(folder):
    with Tracker(folder, "study") as tracker:
        tell(tracker, folder)
    told = changes(folder)
    with Tracker(folder, "study") as tracker:
        tracker.reconcile([record(0), record(3, outcome=outcome(0.9, 10.0))])
        tracker.ended(record(2, "failed", rungs=(), reason="loss is nan"))
        tracker.front([3], 0.5, step=4)
    assert changes(folder) == told
    check(folder)


def test_what_was_sent_but_not_noted_is_sent_again_without_doubling(folder):
    with Tracker(folder, "study") as tracker:
        tell(tracker, folder)
    (position,) = (folder.path / "outbox").glob("sent-*.json")
    position.unlink()
    Tracker(folder, "study").close()
    check(folder)


def test_a_store_that_lost_the_study_gets_all_of_it_again(folder, first):
    with Tracker(folder, "study") as tracker:
        tell(tracker, folder)
    for file in folder.path.glob("mlflow.db*"):
        file.unlink()
    shutil.copy(first[0] / "study" / "mlflow.db", folder.path / "mlflow.db")
    Tracker(folder, "study").close()
    check(folder)


def test_a_killed_search_is_resumed_in_the_same_runs(folder):
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.integration.test_track import StudyFolder, Tracker, record, rung\n"
        "tracker = Tracker(StudyFolder(Path(sys.argv[1])), 'study')\n"
        "tracker.study()\n"
        "tracker.ended(record(0))\n"
        "for n in (1, 2): tracker.started(n, record(n).params); tracker.reported(n, rung(1))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).parents[2])
    child = subprocess.run([sys.executable, "-c", code, str(folder.path)], cwd=root, check=False)
    assert child.returncode == -signal.SIGKILL
    with (folder.path / "outbox" / "changes.jsonl").open("a") as file:
        file.write('{"run":1,"at":12,"metr')  # the line that the crash cut short

    with Tracker(folder, "study") as tracker:
        tracker.study()
        tracker.reconcile([record(0), record(1)])  # 1 ended while nobody was there to tell
        tracker.close()
        study, trials = runs(folder)
        statuses = {n: run.info.status for n, run in trials.items()}
        assert (study.info.status, statuses) == (
            "RUNNING",
            {0: "FINISHED", 1: "FINISHED", 2: "KILLED"},
        )
        assert trials[2].data.tags["state"] == "interrupted"


def test_a_trial_that_starts_again_goes_on_in_its_run(folder):
    with Tracker(folder, "study") as tracker:
        tracker.study()
        tracker.started(2, record(2).params)
        tracker.reported(2, rung(1))
    with Tracker(folder, "study") as tracker:
        tracker.study()
        tracker.reconcile([])
        tracker.started(2, record(2).params)
        tracker.reported(2, rung(1, accuracy=0.7001))  # the epoch since the last checkpoint
        tracker.reported(2, rung(2))
        tracker.ended(record(2))
    study, trials = runs(folder)
    assert (study.info.status, trials[2].info.status) == ("FINISHED", "FINISHED")
    assert history(folder, trials[2], "rung.accuracy") == [(1, 0.7), (2, 0.7)]
    assert trials[2].data.tags["state"] == "complete"
    assert trials[2].data.tags["reason"] == ""


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (RuntimeError, "FAILED")]
)
def test_nothing_is_left_running_when_a_search_breaks_off(folder, error, status):
    def search():
        with Tracker(folder, "study") as tracker:
            tracker.study()
            tracker.started(0, record(0).params)
            raise error

    with pytest.raises(error):
        search()
    study, trials = runs(folder)
    assert (study.info.status, trials[0].info.status) == (status, "KILLED")


def test_the_front_tags_only_what_changed(folder):
    with Tracker(folder, "study") as tracker:
        tracker.study()
        for number in range(4):
            tracker.ended(record(number))
        tracker.front([0, 1, 2], 0.1, step=3)
        before = len(changes(folder))
        tracker.front([1, 2, 3], 0.2, step=4)
        new = changes(folder)[before:]
    tags = {c["run"]: c["tags"]["on_front"] for c in new if c["run"] is not None}
    assert tags == {0: "false", 3: "true"}


def test_a_param_that_changed_on_resuming_is_a_tag(folder):
    for trials in (4, 8):
        with Tracker(folder, "study") as tracker:
            tracker.study({"search.trials": trials})
    study, _ = runs(folder)
    assert study.data.params == {"search.trials": "4"}
    assert study.data.tags["tune_distill.changed.search.trials"] == "8"


def test_a_loss_that_is_not_finite_is_shown_as_such(folder):
    with Tracker(folder, "study") as tracker:
        tracker.started(0, {})
        tracker.reported(0, replace(rung(1), losses={"soft[0]": float("nan")}))
    _, trials = runs(folder)
    ((_, value),) = history(folder, trials[0], "loss.soft_0_")  # MLflow takes no brackets
    assert value != value


def test_what_the_store_refuses_is_kept_aside_and_the_rest_arrives(folder):
    said = []
    gone = folder.path / "gone.json"
    with Tracker(folder, "study", say=said.append) as tracker:
        tracker.study(artifacts={"gone.json": gone})
        tracker.started(0, {"x" * 300: 1})  # MLflow's names end at 250 characters
        tracker.ended(record(1))
    study, trials = runs(folder)
    assert (study.info.status, trials[1].info.status) == ("FINISHED", "FINISHED")
    refused = (folder.path / "outbox" / "refused.jsonl").read_text().splitlines()
    assert [json.loads(line).get("run", "file") for line in refused] == [0, "file"]
    assert "250" in json.loads(refused[0])["why"]
    assert "refused 2 events" in said[-1]


@pytest.mark.timeout(60)
def test_a_server_that_is_never_there_costs_seconds_and_loses_nothing(folder):
    said = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"http://bob:hunter2@127.0.0.1:{port}"
    tracker = Tracker(folder, "study", uri, say=said.append, resend="tune-distill search s.yaml")
    tell(tracker, folder)
    tracker.finish()
    unsent = tracker.close()
    assert unsent == len(changes(folder)) > 10
    assert f"{unsent} events wait" in said[-1]
    assert "run tune-distill search s.yaml" in said[-1]
    assert f"127.0.0.1:{port}" in said[-1]
    everything = " ".join(said) + "".join(p.read_text() for p in (folder.path / "outbox").iterdir())
    assert "hunter2" not in everything
    # The same outbox, another server.
    assert Tracker(folder, "study").close() == 0
    check(folder)


def test_what_waits_while_the_server_is_away_is_sent_when_it_is_back(folder, monkeypatch):
    said, calls, connect = [], [], writer.Writer.connect

    def flaky(self):
        calls.append(1)
        if len(calls) in {1, 2, 4}:
            raise ConnectionError("nobody home")
        return connect(self)

    monkeypatch.setattr(writer.Writer, "connect", flaky)
    monkeypatch.setattr(sender, "_PAUSES", (0.01,))
    with Tracker(folder, "study", say=said.append, interval=0.01) as tracker:
        tell(tracker, folder)
        while len(calls) < 3:  # away for two attempts, back for one
            time.sleep(0.01)
    monkeypatch.undo()
    Tracker(folder, "study").close()  # if the fourth attempt was the last
    check(folder)
    assert "does not answer (nobody home)" in said[0]
    assert "answers again" in said[1]


def test_an_answer_that_was_lost_does_not_double_a_run(folder, monkeypatch):
    create, failed = MlflowClient.create_run, []

    def created_but_lost(self, *args, **kwargs):
        run = create(self, *args, **kwargs)
        if len(failed) < 2:
            failed.append(run)
            raise ConnectionError("the answer got lost")
        return run

    monkeypatch.setattr(MlflowClient, "create_run", created_but_lost)
    monkeypatch.setattr(sender, "_PAUSES", (0.01,))
    with Tracker(folder, "study", say=lambda _: None) as tracker:
        tell(tracker, folder)
        while len(failed) < 2:
            time.sleep(0.01)
    Tracker(folder, "study").close()
    check(folder)


def test_files_are_uploaded_in_their_last_version(folder, tmp_path):
    front = folder.path / "front.json"
    with Tracker(folder, "study") as tracker:
        for step in (1, 2, 3):
            front.write_text(str(step))
            tracker.front([], 0.0, step, {"pages/front.json": front})
    study, _ = runs(folder)
    (page,) = MlflowClient(store(folder)).list_artifacts(study.info.run_id, "pages")
    assert page.path == "pages/front.json"
    kept = MlflowClient(store(folder)).download_artifacts(
        study.info.run_id, page.path, str(tmp_path)
    )
    assert Path(kept).read_text() == "3"


def test_a_file_cannot_change_its_name_on_the_way(folder):
    tracker = Tracker(folder, "study")
    with pytest.raises(ValueError, match="keeps its file's name"):
        tracker.study(artifacts={"front.json": folder.path / "other.json"})
    tracker.close()


def test_the_clients_settings_are_put_back(folder, monkeypatch):
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    with writer.quiet_client():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"  # the user's own
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_an_unknown_store_is_refused_without_its_password(folder):
    with pytest.raises(SpecError, match="ftp://host") as caught:
        Tracker(folder, "study", "ftp://bob:hunter2@host/x?token=hunter2")
    assert "hunter2" not in str(caught.value)


def test_a_damaged_outbox_says_what_to_do(folder):
    (folder.path / "outbox").mkdir()
    (folder.path / "outbox" / "changes.jsonl").write_text('{"run":null,"at":1}\nnonsense\n')
    with pytest.raises(DataError, match=r"damaged before byte 29.*delete the folder"):
        Tracker(folder, "study")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://bob:p@ss/w@host:1/x failed", "http://host:1/x failed"),
        ("postgresql+psycopg://bob:pw@host/db?password=pw", "postgresql+psycopg://host/db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("mail me@host about http://host", "mail me@host about http://host"),
    ],
)
def test_urls_are_shown_without_their_secrets(text, shown):
    assert redacted(text) == shown


class Server:
    """A real tracking server on a loopback port, which can be stopped and started again."""

    def __init__(self, root):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", f"sqlite:///{root / 'server.db'}"),
            *("--artifacts-destination", str(root / "files")),
        ]
        self.root = root

    def start(self):
        self.log = (self.root / "server.log").open("a")
        self.process = subprocess.Popen(
            self.command,
            cwd=self.root,
            env={**os.environ, **QUIET},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=5).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RuntimeError((self.root / "server.log").read_text())

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


@pytest.mark.slow  # a server takes 10 to 30 seconds to start, and this starts it twice
@pytest.mark.timeout(600)
def test_a_server_that_is_restarted_in_mid_search_has_all_of_it_once(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sender, "_PAUSES", (0.2,))
    folder, server, said = StudyFolder(tmp_path / "study"), Server(tmp_path), []
    folder.path.mkdir()
    server.start()
    try:
        with Tracker(folder, "study", server.uri, say=said.append) as tracker:
            tracker.study({"search.trials": 4})
            tracker.started(0, record(0).params, at=1000.0)
            while not list((folder.path / "outbox").glob("sent-*.json")):
                time.sleep(0.1)
            server.stop()
            tell(tracker, folder)
            while not said:
                time.sleep(0.1)
            server.start()
            while len(said) < 2:
                time.sleep(0.1)
        check(folder, server.uri)
    finally:
        server.stop()
    assert "does not answer" in said[0]
    assert "answers again" in said[1]
    assert capfd.readouterr() == ("", "")  # stdout is for data


def test_the_stores_schema_keeps_each_metric_once(folder):
    """What the writer relies on: the table's key holds a metric's name, time, step and value."""
    with sqlite3.connect(folder.path / "mlflow.db") as connection:
        columns = connection.execute("PRAGMA table_info(metrics)").fetchall()
    assert {c[1] for c in columns if c[5]} >= {"run_uuid", "key", "timestamp", "step", "value"}
