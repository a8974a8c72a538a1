"""Searches whose storage is an object store: no two processes share a disk, but through it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import launch_study
import pytest
from launch_study import launch
from ray import cloudpickle

from tests.integration.test_launch import driver, gone, wait_until
from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.folder import StudyFolder
from tune_distill.launch.session import ray_session
from tune_distill.record import TrialRecord
from tune_distill.spec import ResourceSpec
from tune_distill.storage import ROOT, at, lease

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """One Ray, whose workers have a mirror of their own."""
    cloudpickle.register_pickle_by_value(launch_study)
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short,
    ):
        patch.setenv(ROOT, f"{short}/workers")
        for name, value in KEYS.items():
            patch.setenv(name, value)
        with ray_session(ResourceSpec(), num_cpus=2, temporary=Path(short)):
            yield


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's mirror, and a lease in a hurry."""
    monkeypatch.setenv(ROOT, str(tmp_path / "driver"))
    monkeypatch.setattr(lease, "BEAT", 0.2)
    monkeypatch.setattr(lease, "STALE", 1.0)
    monkeypatch.setattr(lease, "PAUSE", 0.1)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/bucket/studies"


def elsewhere(url: str, monkeypatch: pytest.MonkeyPatch, root: Path) -> StudyFolder:
    """The study as a machine sees it that has nothing of it yet."""
    monkeypatch.setenv(ROOT, str(root))
    folder = at(url).study("toy")
    folder.pull()
    return folder


def epochs(log: Path) -> Counter[tuple[int, int]]:
    """How often each epoch of each trial was run, wherever."""
    lines = log.read_text().splitlines()
    return Counter((int(n), int(epoch)) for n, epoch, _ in (line.split() for line in lines))


def once(trials: int) -> dict[tuple[int, int], int]:
    return {(number, epoch): 1 for number in range(trials) for epoch in (1, 2, 3)}


def test_a_search_goes_through_the_bucket_alone_and_any_machine_can_read_it(
    url, tmp_path, monkeypatch
):
    said: list[str] = []
    inputs = {"log": str(tmp_path / "ran"), "signals": True}
    standing = launch(url, 4, inputs, say=said.append)
    assert standing.states == {"complete": 4}
    assert epochs(tmp_path / "ran") == once(4)
    assert not list((tmp_path / "driver").rglob("weights"))  # no student comes to the driver
    other = elsewhere(url, monkeypatch, tmp_path / "other")
    assert other.records() == list(standing.records)
    assert not list((tmp_path / "other").rglob("weights"))
    assert (other.student(2) / "weights").read_text() == "of 2"
    assert [f.parent.name for f in (tmp_path / "other").rglob("weights")] == ["student"]
    assert (tmp_path / "bucket" / "studies" / "toy" / "journal.log").is_file()
    assert other.owner() is None
    assert said == ["making signals"]


def test_a_lost_worker_goes_on_from_its_last_rung_without_its_disk(url, tmp_path):
    inputs = {
        "log": str(tmp_path / "ran"),
        "met": str(tmp_path / "met"),
        "signals": True,
        "faults": {1: "lost with its disk"},
    }
    assert launch(url, 3, inputs, concurrent=1).states == {"complete": 3}
    assert (tmp_path / "met").exists()
    assert epochs(tmp_path / "ran") == once(3)


def test_a_killed_driver_resumes_on_a_machine_that_has_nothing(url, tmp_path, monkeypatch):
    trials = tmp_path / "bucket" / "studies" / "toy" / "trials"

    def done() -> dict[int, str]:
        return {int(f.parent.name): f.read_text() for f in trials.glob("*/trial.json")}

    with tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short:
        monkeypatch.setenv(ROOT, str(tmp_path / "lost"))
        first = driver(url, 6, 0.3, short)
        wait_until(lambda: len(done()) >= 2, first)
        monkeypatch.setenv(ROOT, str(tmp_path / "driver"))
        named = rf"another search runs this study \(process {first.pid} on {socket.gethostname()}"
        with pytest.raises(TuneDistillError, match=named):
            launch(url, 6, {})
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=30)
        gone(short)
    shutil.rmtree(tmp_path / "lost")
    finished, begun = done(), {int(folder.name) for folder in trials.iterdir()}
    assert 2 <= len(finished) < 6
    said: list[str] = []
    inputs = {"log": str(tmp_path / "ran"), "signals": True}
    assert launch(url, 6, inputs, say=said.append).states == {"complete": 6}
    assert len(said) == 1  # it looked whether the first was alive; its signals were there
    assert {number: done()[number] for number in finished} == finished
    ran = epochs(tmp_path / "ran")
    assert all(ran[number, epoch] == 1 for number in finished for epoch in (1, 2, 3))
    assert begun <= set(done())  # what had begun was ended, under its own number
    assert sum(ran.values()) <= 3 * 6 + 2  # an epoch of each that was in flight, cut short


def test_a_bucket_that_goes_away_stops_the_search_and_the_same_command_goes_on(url, tmp_path):
    bucket = tmp_path / "bucket" / "studies"
    inputs = {
        "log": str(tmp_path / "ran"),
        "met": str(tmp_path / "met"),
        "bucket": str(bucket),
        "faults": {1: "bucket away"},
    }
    with pytest.raises(TuneDistillError, match=r"cannot (read|write|list|remove) .*"):
        launch(url, 3, inputs, concurrent=1)
    bucket.unlink()
    Path(f"{bucket}.away").rename(bucket)
    assert launch(url, 3, inputs, concurrent=1).states == {"complete": 3}
    ran = epochs(tmp_path / "ran")
    assert all(ran[0, epoch] == 1 for epoch in (1, 2, 3))
    assert sum(ran.values()) <= 9 + 1  # the epoch after the last rung that the bucket got


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of a server of S3's protocol, as a URL's query."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with (tmp_path / "moto").open("w") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"endpoint_override=http%3A%2F%2F127.0.0.1%3A{port}&region=us-east-1"
    finally:
        server.terminate()
        server.wait(timeout=10)


def test_a_search_on_s3_itself(s3, tmp_path, monkeypatch):
    from pyarrow.fs import FileSystem

    url = f"s3://shelf/some/studies?{s3}"
    with pytest.raises(SpecError, match=r"there is no bucket 'shelf'.*AWS_ACCESS_KEY_ID"):
        launch(url, 1, {})
    FileSystem.from_uri(f"s3://shelf?{s3}&allow_bucket_creation=true")[0].create_dir("shelf")
    inputs: dict[str, Any] = {"log": str(tmp_path / "ran"), "signals": True}
    first: list[TrialRecord] = list(launch(url, 2, inputs).records)
    other = elsewhere(url, monkeypatch, tmp_path / "other")
    assert other.records() == first
    assert (other.student(1) / "weights").read_text() == "of 1"
    assert epochs(tmp_path / "ran") == once(2)
    with other.locked():  # as --fresh does
        kept = other.set_aside()
    assert at(url).names() == [kept.rpartition("/")[2]]
    again = at(url).study(at(url).names()[0])
    again.pull()
    assert again.records() == first
    assert (again.student(1) / "weights").read_text() == "of 1"
