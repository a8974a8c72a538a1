"""The description of a study's run in MLflow, and when it is written."""

from __future__ import annotations

import re

import pytest

from tune_distill.folder import StudyFolder
from tune_distill.launch import publish
from tune_distill.launch.note import note
from tune_distill.launch.standing import standing
from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.plots import front_data
from tune_distill.record import TrialRecord
from tune_distill.spec import dump, resolve

AXES = (Objective("accuracy", "max", 0.5), Objective("size_mb", "min", 100.0))
TEACHER = {"accuracy": 0.95, "size_mb": 438.0}
EXPORT = "tune-distill export small --pick knee"


def record(number, accuracy=None, size_mb=20.0, state="complete"):
    params = {"method": "kd", "student.layers": 2, "student.hidden_size": 128}
    if accuracy is None:
        return TrialRecord(number, state, params)
    interval = {"accuracy": Interval(accuracy - 0.02, accuracy + 0.01)}
    return TrialRecord(
        number, state, params, Outcome(accuracy, size_mb, 5, 7.0, intervals=interval)
    )


# The knee is the farthest from the line between the ends: 0.8 of 0.6 to 0.9 at 20 of 10 to 90 MB.
RECORDS = (
    record(0, 0.9, 90.0),
    record(1, 0.8, 20.0),
    record(2, 0.7, 95.0),  # beaten
    record(3, 0.6, 10.0),
    record(4, state="pruned"),
)


def text_of(records, **given):
    data = front_data(records, AXES, TEACHER, "small")
    return note(data, **{"description": "what for", "export": EXPORT, "pictured": True, **given})


def test_the_first_lines_say_how_it_stands_and_how_to_have_the_knee():
    head, command, image, *_ = text_of(RECORDS).split("\n\n")
    assert head == (
        "**3 of 4 students are on the front** (4 complete, 1 pruned). "
        "Its compromise, the knee, is **trial 1**: accuracy 0.800, size 20.0 MB."
    )
    assert command == f"`{EXPORT}`"
    assert image == "![the front](get-artifact?path=front.png&run_uuid={run})"


def test_the_table_has_the_front_from_the_best_on_what_each_is_for_and_the_teacher():
    rows = [line for line in text_of(RECORDS).splitlines() if line.startswith("|")]
    assert rows == [
        "| student | why | accuracy | size (MB) | method | layers x width |",
        "| --- | --- | --- | --- | --- | --- |",
        "| trial 0 | highest accuracy | 0.900 (0.880 to 0.910) | 90.0 | kd | 2 x 128 |",
        "| trial 1 | **knee** | 0.800 (0.780 to 0.810) | 20.0 | kd | 2 x 128 |",
        "| trial 3 | lowest size | 0.600 (0.580 to 0.610) | 10.0 | kd | 2 x 128 |",
        "| *teacher* | | 0.950 | 438 | | |",
    ]


def test_links_lead_to_the_page_and_to_the_studys_view_of_its_runs():
    links = dict(re.findall(r"(?<!!)\[([^]]+)\]\((\S+)\)", text_of(RECORDS)))
    page, runs, charts = links.values()
    assert page == "#/experiments/{experiment}/runs/{run}/artifacts/front.html"
    assert runs.startswith("#/experiments/{experiment}/runs?")
    assert runs.endswith("&viewStateShareKey={study}")
    assert charts == f"{runs}&compareRunsMode=CHART"


def test_before_a_trial_is_complete_it_says_so():
    text = text_of([record(0, state="failed")], pictured=False)
    assert text == "**No student is on the front yet**: 1 failed.\n\nwhat for\n"


def test_a_long_front_is_cut_to_what_mlflow_takes_and_keeps_those_that_matter():
    # On a convex curve nothing dominates: 400 members.
    records = [record(n, 0.5 + n / 1000, 1.0 + n**2 / 1e4) for n in range(400)]
    text = text_of(records, description="x" * 9000)
    assert len(text) <= 7801
    rows = [line for line in text.splitlines() if line.startswith("| trial")]
    assert any(row.startswith("| trial 399 | highest accuracy |") for row in rows)
    assert any(row.startswith("| trial 0 | lowest size |") for row in rows)
    assert any("**knee**" in row for row in rows)
    assert f"{400 - len(rows)} more are in front.html." in text


class Tracker:
    """Keeps what it is told of the front."""

    def __init__(self):
        self.told = []

    def front(self, numbers, hypervolume, step, files=None, note=None):
        self.told.append((step, sorted(files or ()), note and note.read_text()))


@pytest.fixture
def tracker(monkeypatch):
    monkeypatch.setattr(publish, "report", lambda data, _: f"<p>{data['hypervolume']}</p>")
    return Tracker()


def publisher(folder, tracker):
    objectives = {a.name: {"goal": a.goal, "reference": a.reference} for a in AXES}
    space = {"student": {"layers": [1, 2], "hidden_size": 16, "heads": 2}, "method": "finetune"}
    document = {
        "name": "small",
        "task": {"builtin": "reviews"},
        "teacher": {"builtin": "small"},
        "space": space,
        "objectives": objectives,
    }
    (folder / "study.yaml").write_text(dump(document))
    return publish.Publisher(resolve(document), StudyFolder(folder), tracker, EXPORT)


def now(count):
    return standing(RECORDS[:count], AXES, 5, {}, False)


def test_the_fronts_files_are_written_at_once_then_after_a_while_and_at_the_end(tmp_path, tracker):
    with publisher(tmp_path, tracker) as telling:
        telling.front(now(0))
        first = (tmp_path / "front.html").read_text()
        telling.front(now(1))
        telling.front(now(5))
        assert (tmp_path / "front.html").read_text() == first == "<p>0.0</p>"
    (step, files, text), *later = tracker.told
    assert (step, files) == (0, ["front.html", "front.json"])
    assert text.startswith("**No student is on the front yet**: no trial has ended yet.")
    # Each time the metrics, and at the end what wasn't written before.
    assert [(step, files) for step, files, _ in later] == [
        (1, []),
        (5, []),
        (5, ["front.html", "front.json", "front.png"]),
    ]
    assert later[-1][2].startswith("**3 of 4 students are on the front**")
    drawn = (tmp_path / "front.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert int.from_bytes(drawn[16:20], "big") <= 820  # pixels wide: it fits MLflow's column


def test_when_enough_time_has_passed_they_are_written_again(tmp_path, tracker, monkeypatch):
    monkeypatch.setattr(publish, "_PAUSE", 0.0)
    monkeypatch.setattr(publish, "_SHARE", 0)
    with publisher(tmp_path, tracker) as telling:
        telling.front(now(0))
        telling.front(now(1))
        assert (tmp_path / "front.html").read_text() != "<p>0.0</p>"
    assert len(tracker.told) == 2  # nothing was left for the end
