"""The launcher's parts that need no Ray: the lock, the document, the streak, the trial's folder."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import Any

import pytest
from launch_study import DOCUMENT

from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.folder import StudyFolder
from tune_distill.launch import session
from tune_distill.launch.own import environment
from tune_distill.launch.resume import admit, differences
from tune_distill.launch.session import interruptible, ray_ahead, ray_session
from tune_distill.launch.streak import Streak
from tune_distill.launch.worker import claim, worked
from tune_distill.lock import locked, owner
from tune_distill.record import Rung, TrialRecord
from tune_distill.spec import ResourceSpec, read


def test_a_second_owner_is_refused_and_told_who_the_first_is(tmp_path):
    file = tmp_path / "lock"
    assert owner(file) is None
    with locked(file):
        first = owner(file)
        assert first
        assert first.pid == os.getpid()
        with (
            pytest.raises(TuneDistillError, match=rf"process {os.getpid()} on {first.host}, since"),
            locked(file),
        ):
            pass
    assert owner(file) is None
    with locked(file):
        pass


def test_the_lock_of_a_dead_owner_is_free(tmp_path):
    file = tmp_path / "lock"
    holds = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX);"
        "f.write('{}'); f.flush(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holds, file], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(TuneDistillError, match="another search"), locked(file):
            pass
        process.kill()
    with locked(file):
        assert file.read_text() != "{}"


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    *parents, key = path.split(".")
    node = document
    for parent in parents:
        node = node.setdefault(parent, {})
    node[key] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("search.trials", 99),  # the budget may grow
        ("search.max_failures", 7),
        ("resources.cpus_per_trial", 4.0),  # another machine
        ("description", "other words"),
        ("search.seed", 0),  # the default, written out
        ("space.train.epochs", 3),  # as it was
    ],
)
def test_what_does_not_change_a_trial_may_change(path, value):
    assert differences(DOCUMENT, changed(path, value)) == []


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("search.seed", 1, "search.seed: was nothing, is 1"),
        ("space.train.epochs", 4, "space.train.epochs: was 3, is 4"),
        ("objectives.accuracy.reference", 0.6, "objectives.accuracy.reference: was 0.5, is 0.6"),
        (
            "space.train.learning_rate",
            {"uniform": [1.0e-5, 1.0e-3]},  # the same ends, another distribution
            "space.train.learning_rate.log: was [1e-05, 0.001], is nothing",
        ),
    ],
)
def test_what_changes_a_trial_is_named(path, value, line):
    assert line in differences(DOCUMENT, changed(path, value))


def test_a_folder_keeps_the_document_it_was_begun_with_and_the_newest_budget(tmp_path):
    folder = StudyFolder(tmp_path)
    admit(folder, DOCUMENT)
    admit(folder, changed("search.trials", 50))
    assert read(folder.study)["search"] == {"trials": 50}
    with pytest.raises(SpecError, match="--fresh") as caught:
        admit(folder, changed("search.sampler", "random"))
    assert "search.sampler: was nothing, is random" in caught.value.problems
    assert read(folder.study)["search"] == {"trials": 50}


def failed(number: int, reason: str, **params: Any) -> TrialRecord:
    return TrialRecord(number, "failed", {"method": "kd", **params}, reason=reason)


def test_three_failures_of_one_kind_in_a_row_are_a_streak_and_name_what_they_share():
    streak = Streak()
    streak.ended(failed(1, "TypeError: a", layers=1))
    streak.ended(failed(2, "TypeError: b", layers=2))
    with pytest.raises(TuneDistillError, match=r"trials 1, 2, 3.*TypeError: c.*share method=kd\."):
        streak.ended(failed(3, "TypeError: c", layers=1))


@pytest.mark.parametrize(
    "between",
    [TrialRecord(9, "complete", {}), TrialRecord(9, "pruned", {}), failed(9, "ValueError: x")],
)
def test_anything_else_between_breaks_a_streak(between):
    streak = Streak()
    for record in (failed(1, "TypeError: a"), failed(2, "TypeError: a"), between):
        streak.ended(record)
    streak.ended(failed(3, "TypeError: a"))
    streak.ended(failed(4, "TypeError: a"))


def test_nan_is_a_trials_own_fault_longer_than_an_error_of_ours():
    streak = Streak()
    for number in range(9):
        streak.ended(failed(number, "Diverged: the loss is nan"))
    with pytest.raises(TuneDistillError, match="10 trials in a row"):
        streak.ended(failed(9, "Diverged: the loss is nan"))


def test_a_trials_folder_is_kept_for_its_own_parameters_and_emptied_for_others(tmp_path):
    folder = tmp_path / "00003"
    claim(folder, {"layers": 2})
    (folder / "checkpoint").mkdir()
    claim(folder, {"layers": 2})
    assert (folder / "checkpoint").is_dir()
    claim(folder, {"layers": 3})  # the number of another draw, after a journal was lost
    assert not (folder / "checkpoint").exists()


def test_seconds_of_work_are_summed_over_restarts():
    assert worked(()) == 0.0
    clocks = [10.0, 20.0, 9.0, 18.0, 4.0]  # three lives, of 20, 18 and 4 seconds
    rungs = [Rung(n, n, 0.5, {}, seconds) for n, seconds in enumerate(clocks, 1)]
    assert worked(rungs) == 42.0


def test_the_first_interrupt_is_noted_and_the_second_is_the_systems():
    before = signal.getsignal(signal.SIGINT)
    with interruptible() as event:
        assert not event.is_set()
        signal.raise_signal(signal.SIGINT)
        assert event.wait(5)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is before


def test_the_environment_is_lent_and_the_users_own_values_win(monkeypatch):
    monkeypatch.setenv("TD_MINE", "mine")
    with environment({"TD_MINE": "ours", "TD_OURS": "ours"}):
        assert (os.environ["TD_MINE"], os.environ["TD_OURS"]) == ("mine", "ours")
    assert os.environ["TD_MINE"] == "mine"
    assert "TD_OURS" not in os.environ


def test_a_client_address_is_refused_with_what_works():
    with pytest.raises(SpecError, match="--address auto"), ray_session(ResourceSpec(), "ray://h:1"):
        pass


@pytest.fixture
def rays(monkeypatch):
    """What a Ray put in the true one's place is told, and by which thread; it starts on a word."""
    told, start = [], threading.Event()

    @contextmanager
    def fake(*given):
        start.wait(10)
        told.append(("began", threading.current_thread()))
        if given[1] == 13:
            raise SpecError("no Ray today")
        yield
        told.append(("ended", threading.current_thread()))

    monkeypatch.setattr(
        session, "ray_session", lambda resources, address, *more: fake(resources, *more)
    )
    return told, start


def test_ray_starts_beside_what_comes_before_it_and_ends_in_the_thread_that_began_it(rays):
    told, start = rays
    with ray_ahead(ResourceSpec()) as ready:
        assert told == []  # nothing waits for it yet
        start.set()
        with ready():
            ((_, thread),) = told
        # It ends when it is needed no more, not when all is over, and nothing goes on meanwhile: a
        # handle that is dropped while Ray shuts down ends the whole process.
        assert told == [("began", thread), ("ended", thread)]
    assert thread is not threading.main_thread()


def test_a_ray_that_nobody_came_to_need_is_ended(rays):
    told, start = rays
    start.set()
    with pytest.raises(TuneDistillError, match="no rows"), ray_ahead(ResourceSpec()):
        raise TuneDistillError("no rows")
    assert [event for event, _ in told] == ["began", "ended"]


def test_a_ray_that_does_not_start_is_told_of_where_it_is_needed(rays):
    told, start = rays
    start.set()
    with (
        pytest.raises(SpecError, match="no Ray today"),
        ray_ahead(ResourceSpec(), num_cpus=13) as ready,
        ready(),
    ):
        told.append("never")
    assert [event for event, _ in told] == ["began"]
