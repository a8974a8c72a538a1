"""A newcomer's path through the command line, from the built wheel, as separate processes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests import tiny

ROOT = Path(__file__).parents[2]

PLAIN = ("--no-measure", "--no-mlflow")  # of an export: the folder, and nothing that takes time
STUDY = """
name: tiny
description: two words decide
task: {files: {train: train.csv, validation: validation.csv}, text: sentence, max_length: 32}
teacher: {model: teacher}
space:
  student: {layers: [1, 2], hidden_size: [16, 32], heads: 4}
  method: {finetune: {}, kd: {temperature: {log: [1.0, 4.0]}, alpha: 0.5}}
  train: {learning_rate: {log: [2.0e-3, 5.0e-3]}, batch_size: 16, epochs: 2}
objectives:
  accuracy: {goal: max, reference: 0.4}
  size_mb: {goal: min, reference: 1.0}
  robust_worst: {goal: max, reference: 0.0}
robustness: {rows: 20, budget: 10}
search: {trials: 4, seed: 3}
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A folder with what the wheel installs; first on the path of the commands below."""
    built = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (file,) = built.glob("*.whl")
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", str(site)]
    subprocess.run([*pip, str(file)], check=True, capture_output=True)
    return site


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A working folder with a task, a teacher and a study."""
    folder = tmp_path_factory.mktemp("home")
    tiny.write_task(folder)
    tiny.write_teacher(folder / "teacher")
    (folder / "tiny.yaml").write_text(STUDY)
    return folder


# Imports what commands import, then forks one process for each line of arguments it is sent.
FORKING = """
import json, os, sys
import torch, transformers.models.auto.modeling_auto
import tune_distill.cli, tune_distill.prepare, tune_distill.trial

for line in sys.stdin:
    arguments, out, err = json.loads(line)
    if not (child := os.fork()):
        for stream, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.argv = ["tune-distill", *arguments]
        sys.exit(tune_distill.cli.main())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def run(wheel, home, tmp_path_factory):
    """Runs a command in a process of its own; gives its code, stdout and stderr."""
    out, err = (tmp_path_factory.mktemp("streams") / name for name in ("out", "err"))
    server = subprocess.Popen(
        [sys.executable, "-c", FORKING],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(wheel), "COLUMNS": "160"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def command(*arguments, code=0):
        server.stdin.write(f"{json.dumps([arguments, str(out), str(err)])}\n")
        server.stdin.flush()
        done = subprocess.CompletedProcess(
            arguments, int(server.stdout.readline()), out.read_text(), err.read_text()
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    yield command
    server.communicate(timeout=60)


@pytest.fixture(scope="module")
def searched(run):
    """The finished search."""
    return run("search", "tiny.yaml", "--json")


def test_the_commands_are_those_of_the_wheel(wheel, home, run):
    done = subprocess.run(
        [sys.executable, "-c", "import tune_distill; print(tune_distill.__file__)"],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(wheel))
    assert run("--version").stdout.strip() == "0.1.0"


def test_help_names_every_command(run):
    told = run("--help").stdout
    for command in ("spaces", "check", "teacher", "search", "status", "front", "export", "train"):
        assert command in told


def test_the_shipped_studies_and_data_are_in_the_wheel(run, home, wheel):
    listed = json.loads(run("spaces", "ls", "--json").stdout)
    assert {"quickstart", "sst2"} <= listed.keys()
    assert yaml.safe_load(run("spaces", "cat", "sst2").stdout)["name"] == "sst2"
    for data in ("tasks/builtin/grammar.yaml", "tasks/builtin/lexicon.yaml", "plots/page.html"):
        assert (wheel / "tune_distill" / data).is_file(), data
    run("spaces", "cp", "quickstart", "copied.yaml")
    assert (home / "copied.yaml").read_text() == run("spaces", "cat", "quickstart").stdout
    assert "exists already" in run("spaces", "cp", "quickstart", "copied.yaml", code=2).stderr


def test_check_shows_three_students_without_training(run):
    told = json.loads(run("check", "tiny.yaml", "--json").stdout)
    assert told["task"]["labels"] == ["negative", "positive"]
    assert len(told["samples"]) == 3
    for sample in told["samples"]:
        assert sample["size_mb"] == pytest.approx(4e-6 * sample["parameters"])
    assert "TFLOP" in run("check", "tiny.yaml").stdout


def test_check_shows_what_is_enqueued_and_how_much_of_it_holds(run):
    asked = ["--set", "search.enqueue=[kd:sst2]", "--set", "space.method={kd: {}}"]
    told = json.loads(run("check", "tiny.yaml", *asked, "--json").stdout)["enqueued"]["kd:sst2"]
    assert (told["method.kd.temperature"], told["method.kd.alpha"]) == (4.0, 0.5)
    assert "train.epochs" not in told  # this study fixes its epochs
    assert (
        "first  kd:sst2: method kd, temperature 4, alpha 0.5"
        in run("check", "tiny.yaml", *asked).stdout
    )


def test_check_shows_what_a_smaller_vocabulary_does_and_saves(run):
    few = ["--set", "space.student.vocab=70"]
    whole = json.loads(run("check", "tiny.yaml", "--json").stdout)["samples"]
    done = run("check", "tiny.yaml", *few, "--json")
    for before, after in zip(whole, json.loads(done.stdout)["samples"], strict=True):
        width = after["params"]["student.hidden_size"]
        assert width == before["params"]["student.hidden_size"]
        assert before["parameters"] - after["parameters"] == 4 * width  # of 74 tokens
    assert "vocabulary of 70 of 74 tokens of the teacher: " in done.stderr
    assert "70 tokens" in run("check", "tiny.yaml", *few).stdout
    refused = run("check", "tiny.yaml", "--set", "space.student.vocab=7", code=2)
    assert "\nDataError: student.vocab: 7 tokens can't spell every word" in refused.stderr


def test_a_bad_study_names_every_mistake_and_exits_2(run):
    bad = ["--set", "space.method.kd.temperatur=1.0", "--set", "search.trials=0"]
    done = run("search", "tiny.yaml", *bad, code=2)
    assert done.stderr.splitlines() == [
        "SpecError: space.method.kd.temperatur: unknown knob; kd takes temperature, alpha, "
        "match (did you mean temperature?)",
        "SpecError: search.trials: Input should be greater than 0, got 0",
    ]
    assert done.stdout == ""


def test_a_missing_file_of_the_task_exits_2(run):
    done = run("check", "tiny.yaml", "--set", "task.files.train=no.csv", code=2)
    assert done.stderr.startswith("DataError: ")
    assert "no.csv" in done.stderr


def test_a_study_that_was_not_started_is_said_to_be_so(run):
    assert "has not been started" in run("front", "quickstart", code=2).stderr
    assert "no such study" in run("status", "nothing", code=2).stderr


def test_doctor_tells_the_machine(run):
    told = json.loads(run("doctor", "--json").stdout)
    assert {"python", "torch", "ray", "cpus", "storage"} <= told["facts"].keys()


def test_a_search_ends_with_its_front_and_the_next_commands(searched, home):
    summary = json.loads(searched.stdout)
    assert summary["trials"] == summary["complete"] == 4
    assert summary["front"]
    last = searched.stderr.splitlines()[-3:]
    assert last[0].startswith("front: studies/tiny/front.html")
    assert last[2] == "export: tune-distill export tiny --pick knee"
    assert (home / "studies/tiny/front.html").stat().st_size > 1_000_000  # plotly is in it


def test_the_same_search_again_computes_nothing(searched, run, home):
    before = {p: p.stat().st_mtime_ns for p in home.glob("studies/tiny/trials/*/trial.json")}
    again = json.loads(run("search", "tiny.yaml", "--json").stdout)
    after = {p: p.stat().st_mtime_ns for p in home.glob("studies/tiny/trials/*/trial.json")}
    assert again == json.loads(searched.stdout)
    assert before == after


def test_another_study_of_the_same_name_is_refused(searched, run):
    done = run("search", "tiny.yaml", "--set", "task.max_length=16", code=2)
    assert "task.max_length: was 32, is 16" in done.stderr


def test_status_and_front_agree(searched, run, home):
    status = json.loads(run("status", "tiny", "--json").stdout)
    front = json.loads(run("front", "tiny", "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(run("front", "tiny", "--csv").stdout)))

    assert status["complete"] == 4
    assert status["front"] == len(front["front"]) == sum(r["on_front"] == "True" for r in rows)
    assert front == json.loads((home / "studies/tiny/front.json").read_text())
    assert status["hypervolume"] == front["hypervolume"]
    assert front["teacher"]["accuracy"] > 0.9
    assert "teacher" in run("front", "tiny").stdout
    run("front", "tiny", "--html", "front.html")
    written = home / "studies/tiny/front.html"  # by the search, as MLflow has it
    assert (home / "front.html").read_text() == written.read_text()


def test_a_front_is_confirmed_on_fresh_seeds_and_held_out_rows(searched, run, home):
    from mlflow import MlflowClient

    asked = ["confirm", "tiny", "--seeds", "1", "--attacked-rows", "12", "--int8", "--json"]
    told = json.loads(run(*asked).stdout)
    front = json.loads(searched.stdout)["front"]
    members = [model for model in told["models"] if model["role"] == "front"]
    assert [model["trial"] for model in members if model["form"] == "pytorch"] == front
    assert [model["trial"] for model in members if model["form"] == "int8"] == front
    assert told == json.loads((home / "studies/tiny/confirm.json").read_text())
    assert (told["rows"], told["attacked_rows"], told["seeds"]) == (60, 12, 1)
    assert {claim["second"] for claim in told["claims"]} >= {"teacher"}
    for model in told["models"]:
        found = model["heldout"]["accuracy"]
        assert (found["values"], found["sd"]) == ([found["mean"]], None)
        assert 0 < model["latency"]["low_ms"] <= model["latency"]["median_ms"]
    assert told["latency"]["machine"]["processor"]
    trials = {p: p.stat().st_mtime_ns for p in home.glob("studies/tiny/confirm/trials/*/*")}
    assert json.loads(run(*asked).stdout) == told  # the same again trains and reads nothing
    assert trials == {p: p.stat().st_mtime_ns for p in trials}

    client = MlflowClient(f"sqlite:///{home / 'studies/tiny/mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "tiny"]
    runs = {r.info.run_name: r for r in client.search_runs([experiment.experiment_id])}
    confirmed = runs["tiny confirmed"]
    assert "| claim |" in confirmed.data.tags["mlflow.note.content"]
    for run_id in (confirmed.info.run_id, runs["tiny"].info.run_id):
        assert {"confirm.json", "confirm.html"} <= {f.path for f in client.list_artifacts(run_id)}
    children = [
        r
        for r in client.search_runs([experiment.experiment_id])
        if r.data.tags.get("mlflow.parentRunId") == confirmed.info.run_id
        and r.data.tags["method"] != "teacher"
    ]
    assert len(children) == len(list(home.glob("studies/tiny/confirm/trials/*")))
    assert all("heldout.accuracy" in child.data.metrics for child in children)
    assert all("latency_ms" in child.data.metrics for child in children)
    formed = [c for c in children if "int8.heldout.accuracy" in c.data.metrics]
    assert len(formed) == 2 * len(front)  # as found, and on a fresh seed
    assert all("int8.latency_ms" in child.data.metrics for child in formed)


@pytest.fixture(scope="module")
def exported(searched, run, home):
    more = ["--onnx", "--int8", "--register", "champions", "--json"]
    done = run("export", "tiny", "--pick", "best:accuracy", "--to", "student", *more)
    return json.loads(done.stdout)


def test_an_exported_student_is_a_plain_hugging_face_model(exported, home):
    from transformers import pipeline

    classify = pipeline("text-classification", str(home / "student"))
    assert classify("the film was superb")[0]["label"] == "positive"
    assert classify("the soup was awful")[0]["label"] == "negative"
    card = (home / "student/README.md").read_text()
    assert "library_name: transformers" in card
    assert f"| accuracy | {exported['accuracy']:.4f} |" in card
    assert list(exported["forms"]) == ["pytorch", "onnx", "int8", "teacher"]
    assert exported["registered"] == "models:/champions@champion"


def test_an_exported_student_is_trained_again_to_the_same_result(exported, run):
    done = run("train", "student/student.yaml", "--to", "again")
    assert done.stderr.endswith("the same in every measure as student/metrics.json\n")


def test_the_reproduced_weights_are_the_exported_ones(exported, run, home):
    from safetensors.torch import load_file

    if not (home / "again").is_dir():
        run("train", "student/student.yaml", "--to", "again")
    left, right = (load_file(home / f / "model.safetensors") for f in ("student", "again"))
    assert left.keys() == right.keys()
    assert all((left[name] == right[name]).all() for name in left)


def test_an_export_takes_the_place_of_an_export_alone_and_when_asked(exported, run, home):
    assert "exists already" in run("export", "tiny", "--to", "student", *PLAIN, code=2).stderr
    mine = home / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("kept")
    run("export", "tiny", "--to", "mine", "--replace", *PLAIN, code=2)
    assert (mine / "notes.txt").read_text() == "kept"
    run("export", "tiny", "--pick", "best:accuracy", "--to", "student", "--replace", *PLAIN)
    assert (home / "student/student.yaml").is_file()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--all-front", "--pick", "knee"), "--all-front --pick knee: that is for one student"),
        (("--int8", "--no-measure"), "what int8 costs is measured, not assumed"),
        (("--register", "a", "--no-mlflow"), "the registry is MLflow's"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_read(run, asked, told):
    done = run("export", "nothing", *asked, code=2)
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_bounds_that_nothing_satisfies_exit_3(searched, run):
    done = run("export", "tiny", "--where", "size_mb<=0.001", code=3)
    assert done.stderr.startswith(
        "NoFeasibleStudent: 0 of 4 trials satisfy size_mb <= 0.001; the smallest is 0.0"
    )


def test_a_damaged_student_is_not_exported_and_exits_4(searched, run, home):
    from safetensors.torch import load_file, save_file

    number = json.loads(searched.stdout)["front"][0]
    file = home / f"studies/tiny/trials/{number:05d}/student/model.safetensors"
    original = file.read_bytes()
    tensors = load_file(file)
    tensors["classifier.bias"] = tensors["classifier.bias"] + 1.0
    save_file(tensors, file, metadata={"format": "pt"})
    try:
        done = run("export", "tiny", "--pick", f"trial:{number}", "--to", "bad", *PLAIN, code=4)
    finally:
        file.write_bytes(original)
    assert done.stderr.startswith("ExportMismatch: the exported model's logits differ")
    assert not (home / "bad").exists()


def test_a_search_that_is_interrupted_and_killed_goes_on_and_leaves_mlflow_clean(
    searched, wheel, home
):
    """Ctrl-C, then SIGKILL: no finished trial is lost or run twice, and no run dangles."""
    import optuna
    from mlflow import MlflowClient
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    (home / "killed").mkdir()
    (home / "killed/cache").symlink_to(home / "studies/cache")
    code = "from tune_distill.cli import main; main()"
    more = ["--storage", "killed", "--trials", "6"]
    command = [sys.executable, "-c", code, "search", "tiny.yaml", *more]
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    study = home / "killed/tiny"
    pattern = "trials/*/trial.json"

    def stopped_by(what):
        """Runs until one more trial has ended, then signals; gives its code and its last line."""
        had = len(list(study.glob(pattern)))
        with subprocess.Popen(
            command, cwd=home, env=environment, stderr=subprocess.PIPE, text=True
        ) as driver:
            deadline = time.monotonic() + 300
            while len(list(study.glob(pattern))) == had and time.monotonic() < deadline:
                time.sleep(0.05)
            driver.send_signal(what)
            _, talk = driver.communicate(timeout=60)
        return driver.returncode, talk.splitlines()[-1]

    code, line = stopped_by(signal.SIGINT)
    assert code == 130
    assert line.startswith("interrupted; what was finished is kept. To go on: tune-distill search")
    assert line.endswith("search tiny.yaml --storage killed --trials 6")
    stopped_by(signal.SIGKILL)
    before = {p: p.read_bytes() for p in study.glob(pattern)}
    assert 2 <= len(before) < 6, "it was to be killed in the middle"

    subprocess.run(command, cwd=home, env=environment, check=True, capture_output=True)

    after = {p: p.read_bytes() for p in study.glob(pattern)}
    assert len(after) == 6
    assert {p: after[p] for p in before} == before, "a finished trial was run again"
    backend = JournalFileBackend(str(study / "journal.log"))
    (name,) = optuna.get_all_study_names(JournalStorage(backend))
    states = [
        t.state.name
        for t in optuna.load_study(study_name=name, storage=JournalStorage(backend)).trials
    ]
    assert states.count("COMPLETE") == 6
    assert "RUNNING" not in states
    client = MlflowClient(f"sqlite:///{study / 'mlflow.db'}")
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    children = [r for r in runs if "mlflow.parentRunId" in r.data.tags]
    teachers = [r for r in children if r.data.tags["method"] == "teacher"]
    assert (len(runs), len(children), len(teachers)) == (8, 7, 1)
    assert {r.info.status for r in runs} == {"FINISHED"}
    for child in children:
        assert child.data.metrics.keys() >= {"accuracy", "size_mb", "robust_worst"}
