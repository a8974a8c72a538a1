"""The faults that take minutes: twenty killed drivers, and a cluster that loses a node."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from launch_study import ran

from tests.integration.test_launch import SCRIPT, accepted, driver, gone, optuna_states, wait_until
from tune_distill.folder import StudyFolder

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KILLS, TRIALS = 20, 80
MOVING, NAP = 14, 4.0  # seconds an epoch: a trial outlasts an actor's start, as real ones do


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "toy")


def test_twenty_killed_drivers_lose_no_trial_and_run_none_twice(tmp_path, folder):
    rng = random.Random(0)
    for _ in range(KILLS):
        with tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short:
            process = driver(tmp_path, TRIALS, 0.2, short)
            had = started(folder)
            # From the first epoch of this run on, at any moment of the next second.
            wait_until(lambda had=had: started(folder) > had, process)
            time.sleep(rng.uniform(0.0, 1.0))
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
            gone(short)
        finished = {record.number: record for record in folder.records()}
        assert len(finished) < TRIALS
    with tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short:
        process = driver(tmp_path, TRIALS, 0.0, short)
        assert process.communicate(timeout=300) == ("", "")
    records = folder.records()
    assert [record.state for record in records] == ["complete"] * TRIALS
    assert {number: folder.read(number) for number in finished} == finished
    numbers = [record.number for record in records]
    assert accepted(folder) == dict.fromkeys(numbers, "COMPLETE")
    assert "RUNNING" not in optuna_states(folder)
    epochs = Counter((number, epoch) for number, epoch, _ in ran(folder))
    assert set(epochs) == {(number, epoch) for number in numbers for epoch in (1, 2, 3)}
    # Of two trials in flight, each kill may cut one epoch short, which is run again.
    assert sum(epochs.values()) <= 3 * TRIALS + 2 * KILLS


def started(folder: StudyFolder) -> int:
    """How many epochs were begun so far."""
    return len(ran(folder)) if (folder.path / "ran").exists() else 0


def test_the_trials_of_a_lost_node_move_and_a_node_that_joins_takes_its_share(tmp_path, folder):
    with cluster() as nodes:
        lost = nodes.add_node(num_cpus=1)
        nodes.add_node(num_cpus=1)
        address = [str(tmp_path), str(MOVING), str(NAP), "-", nodes.address]
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *address], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_until(lambda: len(folder.records()) >= 2, process)
        before = {record.number: record for record in folder.records()}
        nodes.remove_node(lost, allow_graceful=False)
        wait_until(lambda: len(folder.records()) >= 4, process)
        early = ran(folder)
        nodes.add_node(num_cpus=1)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    assert [record.state for record in folder.records()] == ["complete"] * MOVING
    assert {number: folder.read(number) for number in before} == before
    assert len(ran(folder)) <= 3 * MOVING + 2  # what was cut short
    stayed = {process for _, _, process in early}
    joined = [epoch for *epoch, process in ran(folder)[len(early) :] if process not in stayed]
    assert len(joined) >= 9  # of some 28 epochs that were left: half, less an actor's start


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Nodes on this machine, each with a raylet of its own; the head runs no trial."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        yield nodes
    finally:
        nodes.shutdown()
