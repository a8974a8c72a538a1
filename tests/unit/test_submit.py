"""A search as a Ray job: what is refused, and what is sent, to a stand-in of the cluster."""

from __future__ import annotations

import shlex
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests import toy_study
from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.launch import submit as jobs
from tune_distill.launch.submit import Submission, follow, named_by_content, submit

ADDRESS = "http://127.0.0.1:8265"


class Cluster:
    """What JobSubmissionClient is asked, and what it answers."""

    def __init__(self, texts=("",), ends="SUCCEEDED"):
        self.sent, self.texts, self.ends = {}, list(texts), ends

    def submit_job(self, **asked):
        work = Path(asked["runtime_env"]["working_dir"])
        self.sent = asked | {"study": yaml.safe_load((work / "study.yaml").read_text())}
        return asked["submission_id"]

    def get_job_status(self, job):
        return Status("RUNNING" if self.texts[1:] else self.ends)

    def get_job_logs(self, job):
        return self.texts.pop(0) if self.texts[1:] else self.texts[0]

    def get_job_info(self, job):
        return SimpleNamespace(message="exit code 3")


class Status(str):
    __slots__ = ()

    def is_terminal(self):
        return self != "RUNNING"


@pytest.fixture
def asked(tmp_path):
    wheel = tmp_path / "tune_distill-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tune_distill/__init__.py", "")
    return Submission(toy_study.document(), "/shared/studies", "http://mlflow:5000", wheel)


def on(cluster, monkeypatch):
    monkeypatch.setattr(jobs, "_client", lambda address: cluster)
    monkeypatch.setattr(jobs.time, "sleep", lambda seconds: None)


def test_the_study_and_our_code_travel_and_the_job_is_the_search_itself(asked, monkeypatch):
    cluster = Cluster()
    on(cluster, monkeypatch)
    job = submit(ADDRESS, asked, lambda line: None)
    assert job.startswith("toy-2")
    assert cluster.sent["study"] == asked.document
    command = shlex.split(cluster.sent["entrypoint"])
    assert command[:5] == ["python", "-m", "tune_distill", "search", "study.yaml"]
    options = dict(zip(command[5::2], command[6::2], strict=True))
    assert options == {
        "--address": "auto",
        "--storage": "/shared/studies",
        "--tracking-uri": "http://mlflow:5000",
    }
    (wheel,) = cluster.sent["runtime_env"]["py_modules"]
    assert wheel.endswith("-py3-none-any.whl")


def test_a_wheel_that_differs_has_another_name(asked, tmp_path):
    first = named_by_content(asked.wheel, tmp_path)
    assert named_by_content(asked.wheel, tmp_path) == first
    with zipfile.ZipFile(asked.wheel, "a") as archive:
        archive.writestr("tune_distill/new.py", "")
    second = named_by_content(asked.wheel, tmp_path)
    assert second.name != first.name
    for wheel in (first, second):  # name, version, build tag (a digit first), python, abi, platform
        name, version, build, *tags = wheel.stem.split("-")
        assert (name, version, tags) == ("tune_distill", "0.1.0", ["py3", "none", "any"])
        assert build[0].isdigit()


def test_a_bucket_is_handed_on_as_it_is():
    url = "s3://shelf/studies?endpoint_override=http%3A%2F%2Fstore%3A9000"
    asked = Submission({"name": "toy"}, url, "http://mlflow:5000")
    assert shlex.split(jobs.entrypoint(asked))[7:9] == ["--storage", url]


@pytest.mark.parametrize(
    ("address", "storage", "uri", "line"),
    [
        (ADDRESS, "s3://k:secret@b/s", "http://m", r"--storage s3://b/s: has credentials in it.*"),
        ("auto", "/s", "http://m", r"--address auto: jobs are submitted to the cluster's dashb.*"),
        (ADDRESS, "s", "http://m", r"--storage s: give the absolute path of a folder that every.*"),
        (ADDRESS, "/s", "sqlite:///m.db", r"--tracking-uri sqlite:.*: a job's runs go to a serv.*"),
        (ADDRESS, "/s", "http://me:secret@m", r"--tracking-uri: the dashboard shows a job's .*"),
    ],
)
def test_what_cannot_work_on_a_cluster_is_refused(address, storage, uri, line):
    with pytest.raises(SpecError, match=rf"^{line}$") as refused:
        submit(address, Submission({"name": "toy"}, storage, uri), lambda _: None)
    assert "secret" not in str(refused.value)


def test_whole_lines_are_shown_once_and_a_failed_job_is_an_error(monkeypatch):
    on(Cluster(["one\ntw", "one\ntwo\n", "one\ntwo\nthree"]), monkeypatch)
    assert list(follow(ADDRESS, "toy")) == ["one", "two", "three"]
    on(Cluster(["one\n"], ends="FAILED"), monkeypatch)
    with pytest.raises(TuneDistillError, match=r"^job toy failed: exit code 3$"):
        list(follow(ADDRESS, "toy"))
