"""Whole searches on Ray, of trials that sleep instead of training, with every fault we know."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import launch_study
import pytest
from launch_study import launch, ran
from optuna.trial import FrozenTrial
from ray import cloudpickle

from tune_distill.errors import NoFeasibleStudent, SpecError, TuneDistillError
from tune_distill.folder import StudyFolder
from tune_distill.launch.nodes import alive, look, require_shared
from tune_distill.launch.preparing import on_cluster
from tune_distill.launch.session import ray_session
from tune_distill.launch.standing import Standing
from tune_distill.record import Rung, TrialRecord
from tune_distill.searcher import open_study
from tune_distill.spec import ResourceSpec, resolve
from tune_distill.spec.bounds import Bound, passed

pytestmark = [
    # Ray's own: sockets, files and processes that it leaves to the interpreter's end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SCRIPT = Path(launch_study.__file__)


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """One Ray for all searches of this file that do not kill theirs."""
    cloudpickle.register_pickle_by_value(launch_study)
    with (
        tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short,  # sockets' paths are short
        ray_session(ResourceSpec(), num_cpus=2, temporary=Path(short)),
    ):
        yield


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "toy")


class Events:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def started(self, number: int, params: dict[str, Any]) -> None:
        self.heard.append(("started", number))

    def reported(self, number: int, rung: Rung) -> None:
        self.heard.append(("reported", (number, rung.epoch)))

    def ended(self, record: TrialRecord) -> None:
        self.heard.append(("ended", record.number))

    def front(self, standing: Standing) -> None:
        self.heard.append(("front", standing))

    def of(self, kind: str) -> list[Any]:
        return [what for event, what in self.heard if event == kind]


def optuna_states(folder: StudyFolder) -> list[str]:
    return [trial.state.name for trial in optuna_trials(folder)]


def accepted(folder: StudyFolder) -> dict[int, str]:
    """The state, in Optuna, of each draw that became a trial."""
    return {
        trial.number: trial.state.name
        for trial in optuna_trials(folder)
        if "params" in trial.user_attrs
    }


def optuna_trials(folder: StudyFolder) -> list[FrozenTrial]:
    return open_study(folder, resolve(launch_study.document(1))).get_trials(deepcopy=False)


class Faulty(Events):
    """A listener whose server is away."""

    def ended(self, record: TrialRecord) -> None:
        raise ConnectionError("away")


def test_a_search_runs_its_budget_and_tells_its_listeners(tmp_path, folder, capfd):
    events, lines = Events(), []
    listeners = [Faulty(), events]
    standing = launch(
        tmp_path, 6, {}, listen=lambda _f, _i: nullcontext(listeners), say=lines.append
    )
    records = folder.records()
    assert [record.number for record in records] == list(range(6))
    assert standing.records == tuple(records)
    assert standing.states == {"complete": 6}
    assert optuna_states(folder) == ["COMPLETE"] * 6
    assert sorted(events.of("started")) == sorted(events.of("ended")) == list(range(6))
    assert set(events.of("reported")) == {(n, e) for n in range(6) for e in (1, 2, 3)}
    assert len(ran(folder)) == 18
    assert events.of("front")[-1] == standing
    assert sorted(standing.front) == undominated(records)
    assert all(len(r.rungs) == 3 and r.versions and r.started and r.seconds for r in records)
    assert lines == [
        "Faulty.ended failed: ConnectionError: away; the search goes on, and further faults of "
        "this kind are not repeated here"
    ]
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")  # stdout is data and stderr is ours: Ray is silent


def undominated(records: list[TrialRecord]) -> list[int]:
    """The front, pair by pair."""
    worth = {r.number: (-r.outcome.accuracy, r.outcome.size_mb) for r in records if r.outcome}

    def beaten(one: tuple[float, float]) -> bool:
        return any(o[0] <= one[0] and o[1] <= one[1] and o != one for o in worth.values())

    return [number for number, one in worth.items() if not beaten(one)]


def test_what_befalls_a_trial_befalls_no_other(tmp_path, folder):
    lines: list[str] = []
    faults = {1: "nan", 3: "killed", 4: "bug", 6: "killed always"}
    keys = {"max_failures": 1}
    standing = launch(tmp_path, 8, {"faults": faults}, keys=keys, say=lines.append)
    failed = {r.number: r.reason for r in standing.records if r.state == "failed"}
    assert set(failed) == {1, 4, 6}
    assert failed[1] == "Diverged: the loss is nan after 2 updates"
    assert failed[4] == "TypeError: ours"
    assert failed[6].startswith("ActorDiedError: The actor died")  # Ray's words for it
    assert "exit" in (folder.trial(6) / "error.txt").read_text()
    assert optuna_states(folder) == ["FAIL" if n in failed else "COMPLETE" for n in range(8)]
    assert "in _fault" in (folder.trial(4) / "error.txt").read_text()
    epochs = Counter((n, e) for n, e, _ in ran(folder))
    assert [epochs[3, e] for e in (1, 2, 3)] == [1, 1, 1]  # it went on: nothing was repeated
    assert len(lost.rungs if (lost := folder.read(6)) else ()) >= 2  # what it reached is kept
    assert any(line.startswith("trial 3: its worker was lost") for line in lines)
    processes = {process for _, _, process in ran(folder)}
    assert len(processes) <= 2 + 3  # two side by side, reused, and one more for each that died


def test_a_trial_over_its_time_is_pruned_at_an_epochs_end_and_keeps_what_it_reached(
    tmp_path, folder
):
    resources = {"max_minutes_per_trial": 0.005, "concurrent": 1}  # 0.3 s, and an epoch takes 0.5
    standing = launch(tmp_path, 2, {"nap": 0.5}, sections={"resources": resources})
    assert standing.states == {"pruned": 2}
    assert optuna_states(folder) == ["PRUNED"] * 2
    for record in folder.records():
        assert re.match(r"stopped after epoch 1 of 3: 0\.\d+ minutes, over ", record.reason)
        assert [rung.epoch for rung in record.rungs] == [1]
        assert record.seconds > 0.3


@pytest.mark.slow
def test_a_trial_that_hangs_fails_and_the_search_goes_on(tmp_path, folder):
    resources = {"max_minutes_per_trial": 0.1, "concurrent": 2}  # 18 s without a word
    inputs = {"faults": {1: "hangs"}}
    standing = launch(tmp_path, 4, inputs, sections={"resources": resources})
    assert standing.states == {"complete": 3, "failed": 1}
    lost = folder.read(1)
    assert lost
    assert re.match(r"TimeoutError: no word of it for 0\.3\d* minutes, over 3 times", lost.reason)
    assert [rung.epoch for rung in lost.rungs] == [1, 2]  # what it reached is kept
    assert optuna_states(folder)[1] == "FAIL"
    assert Counter(n for n, _, _ in ran(folder))[1] == 2  # it was not run again, to hang again


def test_a_search_over_its_hours_starts_nothing_new_and_the_same_command_goes_on(tmp_path, folder):
    lines: list[str] = []
    keys = {"max_hours": 1 / 3600}  # a second: the first trial, and perhaps the second
    launch(tmp_path, 6, {"nap": 0.5}, keys=keys, concurrent=1, say=lines.append)
    done = len(folder.records())
    assert done < 3
    assert {record.state for record in folder.records()} <= {"complete"}  # what ran has finished
    said = f"is over after {done} of 6 trials; the same command goes on"
    assert lines[-1].endswith(said)
    assert launch(tmp_path, 6, {}).states == {"complete": 6}


def test_a_marker_is_looked_for_on_the_nodes_themselves(tmp_path):
    (tmp_path / "there").touch()
    nodes = alive()
    assert len(nodes) == 1
    assert look(nodes, tmp_path / "there") == [True]
    assert look(nodes * 2, tmp_path / "elsewhere") == [False, False]
    with pytest.raises(SpecError, match=rf"{re.escape(nodes[0].name)}.*mounted under the same"):
        require_shared(tmp_path, nodes * 2, lambda them, file: look(them, file.with_suffix(".x")))


def test_on_a_cluster_a_task_prepares_and_is_heard(tmp_path):
    said: list[str] = []
    spec = resolve(launch_study.document(1))
    made = on_cluster(launch_study.prepare_elsewhere, spec, tmp_path, said.append)
    assert made["process"] != os.getpid()
    assert said == ["reading", f"writing to {tmp_path}"]
    bad = resolve(launch_study.document(1) | {"name": "bad"})
    with pytest.raises(SpecError, match=r"^no such file$"):
        on_cluster(launch_study.prepare_elsewhere, bad, tmp_path, said.append)
    assert said[2:] == ["reading"]


def test_constraints_keep_draws_from_starting_and_trials_off_the_front(tmp_path, folder):
    asked = {"constraints": ["size_mb <= 8", "accuracy >= 0.6"]}

    def infeasible(_: dict[str, Any], params: dict[str, Any]) -> list[str]:
        size = params["student.layers"] * params["student.hidden_size"] / 10
        return passed([Bound.parse("size_mb <= 8")], {"size_mb": size})

    standing = launch(tmp_path, 8, {}, sections=asked, infeasible=infeasible)
    outcomes = {r.number: r.outcome for r in folder.records() if r.outcome}
    assert len(outcomes) == 8
    assert all(outcome.size_mb <= 8 for outcome in outcomes.values())
    assert standing.rejected["infeasible"] > 0
    assert standing.front
    assert all(outcomes[n].accuracy >= 0.6 for n in standing.front)  # layers > 1
    told = {t.number: t.constraints for t in optuna_trials(folder) if t.values}
    assert told[standing.front[0]]["accuracy >= 0.6"] <= 0


def test_hopeless_trials_stop_at_their_rung_are_told_pruned_and_never_run_again(tmp_path, folder):
    """One at a time, so that the n-th trial is judged among n; the search is cut in its middle."""
    asked: dict[str, Any] = {
        "keys": {"sampler": "random", "stop_early": {"rule": "moasha"}},
        "known": lambda _inputs, params: {"size_mb": launch_study.size(params)},
        "concurrent": 1,
    }
    with pytest.raises(TuneDistillError, match="the same command goes on"):
        launch(tmp_path, 14, {"faults": dict.fromkeys(range(4, 14), "full")}, **asked)
    early = folder.records()
    assert 4 <= len(early) < 14
    standing = launch(tmp_path, 14, {}, **asked)
    epochs = Counter(number for number, _, _ in ran(folder))
    stopped = [record for record in standing.records if record.state == "pruned"]
    assert len(stopped) >= 2
    assert standing.states == {"complete": 14 - len(stopped), "pruned": len(stopped)}
    assert any(record.number > len(early) for record in stopped)
    seen: list[TrialRecord] = []
    for record in standing.records:
        own = launch_study.accuracy(record.params), launch_study.size(record.params)
        worth = [(launch_study.accuracy(r.params), launch_study.size(r.params)) for r in seen]
        beaten = any(a >= own[0] and s <= own[1] and (a, s) != own for a, s in worth)
        seen.append(record)
        if record.state == "pruned":
            assert beaten  # nothing is stopped that was on the front of its rung
            told = r"moasha: stopped after epoch 1 of 3, at the rung at 33% .* place (\d+) of (\d+)"
            found = re.fullmatch(told, record.reason)
            assert found
            assert int(found[2]) == record.number + 1  # the interruption forgot none
            assert [rung.epoch for rung in record.rungs] == [1]
            assert epochs[record.number] == 1
        else:
            assert epochs[record.number] == 3
    assert accepted(folder) == {
        r.number: "PRUNED" if r.state == "pruned" else "COMPLETE" for r in standing.records
    }


def test_failures_of_one_kind_in_a_row_stop_the_search_and_say_what_they_share(tmp_path, folder):
    faults = dict.fromkeys(range(20), "bug")
    with pytest.raises(TuneDistillError, match=r"3 trials in a row.*TypeError: ours.*epochs=3"):
        launch(tmp_path, 20, {"faults": faults}, concurrent=1)
    assert [r.state for r in folder.records()] == ["failed"] * 3


def test_a_budget_is_completed_and_not_restarted(tmp_path, folder):
    with pytest.raises(TuneDistillError, match=r"No space left.*the same command goes on"):
        launch(tmp_path, 3, {"faults": {1: "full"}}, concurrent=1)
    assert [r.number for r in folder.records()] == [0]
    standing = launch(tmp_path, 3, {}, concurrent=1)
    assert standing.states == {"complete": 3}
    launch(tmp_path, 3, {})  # nothing is left to do
    assert Counter((n, e) for n, e, _ in ran(folder)) == {
        (n, e): 1 for n in range(3) for e in (1, 2, 3)
    }
    with pytest.raises(SpecError, match=r"search.seed: was nothing, is 7"):
        launch(tmp_path, 3, {}, keys={"seed": 7})


def test_fresh_keeps_the_old_folder_and_an_exhausted_space_ends_the_search(tmp_path, folder):
    (folder.path / "trials").mkdir(parents=True)
    (folder.path / "study.yaml").write_text("name: toy")
    lines: list[str] = []
    one = {"student": {"layers": [2], "hidden_size": [16], "heads": [2]}, "method": "finetune"}
    standing = launch(tmp_path, 9, {}, space=one, fresh=True, say=lines.append, concurrent=1)
    (kept,) = tmp_path.glob("toy.*")
    assert (kept / "study.yaml").read_text() == "name: toy"
    assert str(kept) in lines[0]
    assert (len(standing.records), standing.exhausted) == (1, True)
    assert "exhausted after 1 of 9" in lines[-1]


def test_a_space_without_a_feasible_student_is_an_error(tmp_path):
    with pytest.raises(NoFeasibleStudent, match="size_mb is 60, over 10"):
        launch(tmp_path, 3, {}, infeasible=lambda _inputs, _params: ["size_mb is 60, over 10"])


def driver(storage: Path, trials: int, nap: float, temporary: str) -> subprocess.Popen[str]:
    """A search in a process of its own, with a Ray of its own."""
    command = [sys.executable, str(SCRIPT), str(storage), str(trials), str(nap), temporary]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def test_nothing_is_lost_or_run_twice_when_the_driver_is_interrupted_and_killed(tmp_path, folder):
    def done(count: int) -> Callable[[], bool]:
        return lambda: len(list(folder.path.glob("trials/*/trial.json"))) >= count

    with tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short:
        first = driver(tmp_path, 10, 0.3, short)
        wait_until(done(2), first)
        assert listening(first.pid, short) == {"127.0.0.1"}
        with pytest.raises(TuneDistillError, match=rf"another search .*process {first.pid} on "):
            launch(tmp_path, 10, {})
        first.send_signal(signal.SIGINT)
        out, err = first.communicate(timeout=30)
        assert (first.returncode, out, err) == (130, "", "")
        early = {record.number for record in folder.records()}
        second = driver(tmp_path, 10, 0.3, short)
        wait_until(done(5), second)
        second.send_signal(signal.SIGKILL)
        second.communicate(timeout=30)
        gone(short)
    finished = {record.number: record for record in folder.records()}
    assert 5 <= len(finished) < 10
    before = Counter((n, e) for n, e, _ in ran(folder))
    standing = launch(tmp_path, 10, {})  # and its dead owner's lock stops nobody
    assert standing.states == {"complete": 10}
    assert {n: folder.read(n) for n in finished} == finished
    numbers = [record.number for record in standing.records]
    # no trial that was handed out was given up; a draw the kill cut short never became one
    assert accepted(folder) == dict.fromkeys(numbers, "COMPLETE")
    epochs = Counter((n, e) for n, e, _ in ran(folder))
    assert set(epochs) == {(n, e) for n in numbers for e in (1, 2, 3)}
    # an epoch that was cut short may be repeated, at most those of two trials in flight each time
    assert sum(epochs.values()) <= 30 + 4
    for number in early:  # finished before any fault: each epoch ran once
        assert [epochs[number, e] for e in (1, 2, 3)] == [1, 1, 1]
    for number in finished:  # an epoch cut short by Ctrl-C was repeated before the kill, not after
        assert [epochs[number, e] for e in (1, 2, 3)] == [before[number, e] for e in (1, 2, 3)]


def gone(temporary: str) -> None:
    """Waits until a killed driver's Ray is gone, too."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not list(of(temporary)):
            return
        time.sleep(0.1)
    raise AssertionError(f"still running: {list(of(temporary))}")


def of(temporary: str) -> Iterator[int]:
    """The processes of the Ray that keeps its files there."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                temporary in (process / "cmdline").read_text()
                and "ray" in (process / "cmdline").read_text()
            ):
                yield int(process.name)
        except OSError:
            continue


def listening(driver: int, temporary: str) -> set[str]:
    """The addresses on which a driver and its Ray accept connections."""
    sockets = set()
    for process in {driver, *of(temporary)}:
        for handle in Path(f"/proc/{process}/fd").glob("*"):
            try:
                sockets.add(str(handle.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:  # 0A: LISTEN
                raw = bytes.fromhex(local.partition(":")[0][-8:])[::-1]
                found.add(".".join(map(str, raw)))
    return found
