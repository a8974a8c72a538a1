"""The state of a search as the terminal shows it."""

from __future__ import annotations

from tune_distill.cli.progress import Progress, clock, described
from tune_distill.outcome import Objective, Outcome
from tune_distill.record import Rung, TrialRecord

AXES = (Objective("accuracy", "max", 0.5), Objective("size_mb", "min", 10.0))
PARAMS = {
    "student.layers": 2,
    "student.hidden_size": 64,
    "student.heads": 4,
    "method": "kd",
    "train.epochs": 3,
}


def complete(number, accuracy, size):
    outcome = Outcome(accuracy, size, 1, 1.0)
    return TrialRecord(number=number, state="complete", params=PARAMS, outcome=outcome)


def test_a_search_is_counted_as_it_goes():
    progress = Progress(AXES, wanted=4, records=[complete(0, 0.8, 4.0)])
    progress.started(1, PARAMS)
    progress.started(2, PARAMS)
    progress.reported(1, Rung(1, 10, 0.7, {}, 1.0))
    assert progress.running[1].line(1).split() == (
        ["trial", "1", "2", "x", "64,", "4", "heads,", "kd", "epoch", "1/3", "accuracy", "0.700"]
    )

    progress.ended(complete(1, 0.9, 8.0))
    # Volume below the reference (0.5, 10): 0.3 * 6 + 0.1 * 2 = 2.0
    assert progress.counts() == "running 1 · complete 2 · front 2 · hypervolume 2"
    assert progress.best() == "accuracy 0.9 (trial 1) · size_mb 4 (trial 0)"

    progress.ended(TrialRecord(number=2, state="failed", params=PARAMS, reason="NaN"))
    progress.rejected = {"infeasible": 3, "duplicate": 0}
    assert progress.counts() == (
        "running 0 · complete 2 · failed 1 · infeasible draws 3 · front 2 · hypervolume 2"
    )


def test_the_time_left_follows_the_pace_of_this_session_alone():
    progress = Progress(AXES, wanted=4, records=[complete(0, 0.8, 4.0)])
    assert progress.left(100.0) is None
    progress.ended(complete(1, 0.9, 8.0))
    assert progress.left(100.0) == 200.0  # 100 s for the one that ended here, two to go


def test_a_line_tells_an_ended_trial():
    progress = Progress(AXES, wanted=4)
    record = complete(0, 0.8125, 4.0)
    progress.ended(record)
    assert progress.line(record, 61.0) == (
        "trial 0 complete: 2 x 64, 4 heads, kd  accuracy 0.8125  size_mb 4  "
        "front 1, hypervolume 1.875  [1/4, 01:01]"  # (0.8125 - 0.5) * (10 - 4)
    )
    failed = TrialRecord(number=1, state="failed", params=PARAMS, reason="the loss is NaN")
    assert "trial 1 failed: 2 x 64, 4 heads, kd  the loss is NaN" in progress.line(failed, 0.0)


def test_clocks_and_students_are_short():
    assert [clock(s) for s in (0, 61.9, 3723)] == ["00:00", "01:01", "1:02:03"]
    assert described(PARAMS) == "2 x 64, 4 heads, kd"


def test_the_command_to_go_on_with_begins_nothing_anew_and_tells_no_password(monkeypatch):
    from tune_distill.cli import search

    argv = ["x", "search", "a b.yaml", "--fresh", "--tracking-uri", "http://me:secret@host:1/x"]
    monkeypatch.setattr(search.sys, "argv", argv)
    told = search.again()
    assert told == "tune-distill search 'a b.yaml' --tracking-uri http://host:1/x"
