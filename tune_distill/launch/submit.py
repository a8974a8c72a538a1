"""A search as a Ray job: it runs on the cluster, and goes on when the laptop is closed.

The study travels as one file with its overrides applied, our code as a wheel, so the cluster runs
what was checked here. The job's entry point is `search` itself: to submit the same study again
resumes it.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.spec import dump
from tune_distill.storage.bucket import Bucket
from tune_distill.track.uri import served

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

STUDY = "study.yaml"
EXTRA = "pip install 'tune-distill[cluster]'"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Submission:
    """What is asked of the cluster."""

    document: Mapping[str, Any]  # the study's, overrides applied
    storage: str  # a folder that every node of the cluster sees, or an object store's URL
    tracking_uri: str  # an MLflow server that the head reaches
    wheel: Path | None = None  # our code; None: a checkout's own, or the published version


def submit(address: str, asked: Submission, say: Callable[[str], None]) -> str:
    """Submits a search to a Ray cluster.

    Args:
        address: of its dashboard, http://HEAD:8265.
        asked: the study, and where its results go.
        say: gets a line now and then, for people.

    Returns:
        The job's id.

    Raises:
        SpecError: what was asked cannot work on a cluster.
        TuneDistillError: the cluster does not answer, or refuses the job.
    """
    _check(address, asked)
    with tempfile.TemporaryDirectory(prefix="tune-distill-") as name:
        folder = Path(name)
        work = folder / "work"
        work.mkdir()
        (work / STUDY).write_text(dump(asked.document), encoding="utf-8")
        wheel = asked.wheel or _wheel(folder, say)
        environment = runtime_env(work, wheel and named_by_content(wheel, folder))
        client = _client(address)
        try:
            job: str = client.submit_job(
                entrypoint=entrypoint(asked),
                runtime_env=environment,
                submission_id=_id(str(asked.document["name"])),
                metadata={"study": str(asked.document["name"])},
            )
        except Exception as error:  # Ray raises whatever its server said
            raise TuneDistillError(f"{address}: the cluster refused the job: {error}") from error
    return job


def follow(address: str, job: str) -> Iterator[str]:
    """The lines that a job writes, until it has ended.

    Raises:
        TuneDistillError: it ended otherwise than well.
    """
    client, told = _client(address), 0
    while True:
        status = client.get_job_status(job)
        text = client.get_job_logs(job)
        whole = text if status.is_terminal() else text[: text.rfind("\n") + 1]
        yield from whole[told:].splitlines()
        told = len(whole)
        if status.is_terminal():
            break
        time.sleep(2.0)
    if status != "SUCCEEDED":
        why = client.get_job_info(job).message or ""
        raise TuneDistillError(f"job {job} {status.lower()}: {' '.join(why.split())}")


def entrypoint(asked: Submission) -> str:
    """The command that the job runs."""
    search = ["python", "-m", "tune_distill", "search", STUDY, "--address", "auto"]
    where = ["--storage", asked.storage, "--tracking-uri", asked.tracking_uri]
    return shlex.join([*search, *where])


def runtime_env(work: Path, wheel: Path | None) -> dict[str, Any]:
    """What the job finds on every node: the study, and our code in the version that runs here."""
    from tune_distill import __version__

    environment: dict[str, Any] = {"working_dir": str(work)}
    if wheel is None:
        return {**environment, "pip": [f"tune-distill=={__version__}"]}
    return {**environment, "py_modules": [str(wheel)]}


def named_by_content(wheel: Path, folder: Path) -> Path:
    """A copy whose name has a hash of it, as a build tag (PEP 427).

    Ray keeps a wheel by its name alone, and would go on with an earlier one of this version.
    """
    name, version, *_, python, abi, platform = wheel.stem.split("-")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()[:12]
    copy = folder / f"{name}-{version}-0{digest}-{python}-{abi}-{platform}.whl"
    shutil.copyfile(wheel, copy)
    return copy


def _check(address: str, asked: Submission) -> None:
    problems = []
    if urlsplit(address).scheme not in {"http", "https"}:
        problems.append(
            f"--address {address}: jobs are submitted to the cluster's dashboard, as in "
            "http://HEAD:8265 (ray dashboard cluster.yaml opens one to here)"
        )
    if "://" in asked.storage:
        Bucket(asked.storage).refuse_secrets()  # it need not be reached from here
    elif not Path(asked.storage).is_absolute():
        problems.append(
            f"--storage {asked.storage}: give the absolute path of a folder that every node of "
            "the cluster sees, or s3://BUCKET/PATH"
        )
    server = urlsplit(asked.tracking_uri)
    if not served(asked.tracking_uri):
        problems.append(
            f"--tracking-uri {asked.tracking_uri}: a job's runs go to a server that the head "
            "reaches, as in http://MLFLOW:5000"
        )
    elif server.password or server.username:
        problems.append(
            "--tracking-uri: the dashboard shows a job's command to all; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD on the head instead"
        )
    if asked.wheel is not None and not asked.wheel.is_file():
        problems.append(f"--wheel {asked.wheel}: no such file")
    if problems:
        raise SpecError(problems)


def _client(address: str) -> JobSubmissionClient:
    """Ray's client of the cluster."""
    try:
        from ray.exceptions import RayError
        from ray.job_submission import JobSubmissionClient
    except ImportError as error:
        raise TuneDistillError(f"jobs need Ray's dashboard client: {EXTRA}") from error
    try:
        return JobSubmissionClient(address)
    except (RuntimeError, ConnectionError, RayError) as error:
        if "ray[default]" in str(error):
            raise TuneDistillError(f"jobs need Ray's dashboard client: {EXTRA}") from error
        raise TuneDistillError(f"{address}: {' '.join(str(error).split())}") from error


def _wheel(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The wheel of the checkout that runs; None where an installed version does."""
    if not (ROOT / "pyproject.toml").is_file():
        return None
    say("building the wheel of this checkout")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    done = subprocess.run(
        [*pip, str(folder), str(ROOT)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TuneDistillError(f"{ROOT}: no wheel could be built: {done.stderr.strip()[-400:]}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _id(name: str) -> str:
    """A job's id: the study's name, and when."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', name)}-{time.strftime('%Y%m%dT%H%M%S')}"
