"""One trial in a Ray worker: runs it, reports its rungs, and files its record the moment it ends.

The record is written here and not on the driver, so that nothing which happens to the driver can
lose a finished trial. What a trial does wrong by itself (an exception, a NaN) ends it as failed;
what is done to it (its worker or node is lost, storage is full) does not: it is run again and
continues from its own folder.
"""

from __future__ import annotations

import errno
import json
import shutil
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ray import tune

from tune_distill.errors import StorageError
from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.launch.carry import Carried, Plain
from tune_distill.launch.limits import OverTime, check_time
from tune_distill.outcome import Outcome
from tune_distill.record import Rung, State, TrialRecord
from tune_distill.space import Params
from tune_distill.spec import StudySpec, resolve
from tune_distill.spec.load import parse

Inputs = TypeVar("Inputs")  # what `prepare` made for all trials
Given = TypeVar("Given", contravariant=True)
ReadRungs = Callable[[Path], tuple[Rung, ...]]

UNWRITABLE = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.ESTALE}  # of the storage, not a trial
PACKAGES = ("tune-distill", "torch", "transformers", "ray", "optuna")


class Run(Protocol[Given]):
    """`trial.run`, or what a test puts in its place."""

    def __call__(
        self,
        spec: StudySpec,
        params: Params,
        inputs: Given,
        folder: Path,
        report: Callable[[Rung], None],
        *,
        threads: int,
        device: str,
    ) -> Outcome:
        """Runs one trial, or continues it."""


@dataclass(frozen=True)
class Job(Generic[Inputs]):
    """What every trial of a search needs; some kilobytes."""

    study: str  # the document, as YAML
    folder: StudyFolder
    inputs: Inputs
    run: Run[Inputs]
    read_rungs: ReadRungs


def work(packed: Plain[Job[Any]] | Carried[Job[Any]], config: Mapping[str, Any]) -> None:
    """Runs the trial of a config that the searcher made, and reports it to Tune."""
    try:
        _work(packed.opened(), config)
    except StorageError as error:
        tune.report({"final": False, "halt": str(error)})


def _work(job: Job[Any], config: Mapping[str, Any]) -> None:
    number, params, began = config["number"], config["params"], config["started"]
    record = job.folder.read(number)  # there when a worker died between filing and reporting
    if record is None:
        if not job.folder.fetch(number):  # on a node that joined after `nodes.require_shared`
            where = f"{job.folder.study} is not there on the node {socket.gethostname()}"
            tune.report({"final": False, "halt": where})
            return
        folder = claim(job.folder.trial(number), params)
        clock = time.time() - worked(job.read_rungs(folder))
        outcome: Outcome | None = None
        state: State = "failed"
        reason = ""
        try:
            with job.folder.keeping(number) as keep:
                keep()
                outcome, state = _attempt(job, params, folder, clock, keep), "complete"
        except StorageError:
            raise
        except OverTime as over:
            state, reason = "pruned", str(over)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in UNWRITABLE:
                tune.report({"final": False, "halt": _line(error)})
                return
            reason = _line(error)
            write_atomically(folder / "error.txt", traceback.format_exc())
        record = TrialRecord(
            number=number,
            state=state,
            params=params,
            outcome=outcome,
            rungs=job.read_rungs(folder),
            reason=reason,
            started=began,
            seconds=time.time() - clock,
            versions=_versions(),
        )
        job.folder.write(record)
    tune.report({"final": record.state == "complete", "record": json.dumps(record.to_json())})


def obituary(
    job: Job[Any],
    number: int,
    params: Params,
    started: float,
    error: Exception | None,
    why: str = "",
) -> TrialRecord:
    """Files the record of a trial that could not: lost to an error, or else stopped; says why."""
    job.folder.fetch_told(number)
    folder = claim(job.folder.trial(number), params)
    rungs = job.read_rungs(folder)
    reason = why or f"stopped after epoch {rungs[-1].epoch if rungs else 0}"
    if error is None:
        shutil.rmtree(folder / "checkpoint", ignore_errors=True)  # it will not go on
    else:
        first, *_ = str(error).splitlines() or [""]
        reason = f"{type(error).__name__}: {first}"
        write_atomically(folder / "error.txt", str(error))
    record = TrialRecord(
        number=number,
        state="pruned" if error is None else "failed",
        params=params,
        rungs=rungs,
        reason=reason,
        started=started,
        seconds=worked(rungs),
        versions=_versions(),
    )
    job.folder.write(record)
    return record


def unended(job: Job[Any]) -> Iterator[tuple[int, Params, tuple[Rung, ...]]]:
    """Number, parameters and rungs of each trial that an earlier run of the search left unended."""
    for number, params in job.folder.unended():
        yield number, params, job.read_rungs(job.folder.trial(number))


def claim(folder: Path, params: Params) -> Path:
    """The trial's folder; emptied if it holds a checkpoint of other parameters.

    Only a journal that was lost can lead there: the number was given to another draw.
    """
    file, text = folder / "params.json", json.dumps(params, sort_keys=True)
    if folder.is_dir() and not (file.is_file() and file.read_text(encoding="utf-8") == text):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not file.is_file():
        write_atomically(file, text)
    return folder


def worked(rungs: Sequence[Rung]) -> float:
    """Seconds of work behind the rungs of a trial: their clock starts again with each restart."""
    ends = [a.seconds for a, b in pairwise(rungs) if b.seconds < a.seconds]
    return sum(ends) + (rungs[-1].seconds if rungs else 0.0)


def _attempt(
    job: Job[Any], params: Params, folder: Path, clock: float, keep: Callable[[], None]
) -> Outcome:
    spec = _study(job.study)

    def report(rung: Rung) -> None:
        keep()
        _report(rung)
        check_time(spec.resources.max_minutes_per_trial, time.time() - clock, rung, params)

    outcome = job.run(
        spec,
        params,
        job.inputs,
        folder,
        report,
        threads=spec.resources.threads,
        device=spec.resources.device,
    )
    missing = [axis.name for axis in spec.axes if axis.name not in outcome.measures()]
    if missing:
        raise ValueError(f"the trial did not measure its objective {', '.join(missing)}")
    return outcome


def _report(rung: Rung) -> None:
    plain = {"final": False, "epoch": rung.epoch, "accuracy": rung.accuracy}
    tune.report({**plain, "rung": json.dumps(asdict(rung))})


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


@lru_cache(maxsize=1)
def _study(text: str) -> StudySpec:
    return resolve(parse(text, "study.yaml"))


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in PACKAGES}
