"""What happens in a search, as changes to runs: names, tags and metrics are chosen here.

| run   | metrics                                       | by step     |
|-------|-----------------------------------------------|-------------|
| trial | rung.accuracy, rung.guard, loss.total, ...    | epoch       |
| trial | accuracy, accuracy.low, size_mb, ..., seconds | once        |
| study | hypervolume, front_size                       | trials ended|

What a rung measures has a name of its own, so that sorting by an objective sorts finished students.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from tune_distill.folder import Rung, TrialRecord
from tune_distill.space import Scalar
from tune_distill.track.change import PREFIX, Change, DatasetUse

T = TypeVar("T")
Ending = Literal["FINISHED", "FAILED", "KILLED"]
STATE, REASON, ON_FRONT = f"{PREFIX}state", f"{PREFIX}reason", f"{PREFIX}on_front"
AT_CHANCE = f"{PREFIX}at_chance"
RUNG = "rung.accuracy"
_STATUS: dict[str, Ending] = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_NOT_IN_A_NAME = re.compile(r"[^\w./: -]")  # by MLflow's rules


def study(
    name: str,
    params: Mapping[str, Scalar],
    tags: Mapping[str, str],
    datasets: Sequence[DatasetUse],
    files: Mapping[str, str],
) -> Change:
    """The study begins, or goes on."""
    digests = {f"{PREFIX}data.{d.context}": d.digest for d in datasets}
    return Change(
        run=None,
        at=now(),
        name=name,
        params=_params(params),
        tags={**tags, **digests},
        status="RUNNING",
        datasets=tuple(datasets),
        artifacts=files,
    )


def started(
    number: int, params: Mapping[str, Scalar], tags: Mapping[str, str], at: float | None
) -> Change:
    """A trial starts."""
    method = {f"{PREFIX}method": str(params["method"])} if "method" in params else {}
    return Change(
        run=number,
        at=now(at),
        name=f"trial {number}",
        params=_params(params),
        tags={STATE: "running", **method, **tags},
        status="RUNNING",
    )


def reported(number: int, rung: Rung, at: float | None) -> Change:
    """A trial has ended an epoch."""
    metrics = {
        RUNG: rung.accuracy,
        "rung.updates": float(rung.updates),
        "rung.seconds": rung.seconds,
        **({} if rung.guard is None else {"rung.guard": rung.guard}),
        **{f"loss.{name}": value for name, value in rung.losses.items()},
    }
    return Change(run=number, at=now(at), metrics=_names(metrics), step=rung.epoch)


def ended(record: TrialRecord, on_front: str) -> Change:
    """A trial has ended."""
    metrics = {"seconds": record.seconds}
    if record.outcome is not None:
        metrics |= record.outcome.measures()
        for name, interval in record.outcome.intervals.items():
            metrics |= {f"{name}.low": interval.low, f"{name}.high": interval.high}
    return Change(
        run=record.number,
        at=now(record.started + record.seconds if record.started else None),
        tags={STATE: record.state, ON_FRONT: on_front, REASON: record.reason, **_flags(record)},
        metrics=metrics,
        status=_STATUS[record.state],
    )


def _flags(record: TrialRecord) -> dict[str, str]:
    """What makes a trial's figures say less than they seem to."""
    return {AT_CHANCE: "true"} if record.outcome and record.outcome.at_chance else {}


def measured(number: int, metrics: Mapping[str, float]) -> Change:
    """A trial that has ended is measured again, elsewhere."""
    return Change(run=number, at=now(), metrics=_names(metrics))


def killed(number: int, reason: str) -> Change:
    """A trial runs no longer, and nobody knows how it would have ended."""
    tags = {STATE: "interrupted", REASON: reason}
    return Change(run=number, at=now(), tags=tags, status="KILLED")


def marked(number: int, on_front: bool) -> Change:
    """A trial has come to the front, or left it."""
    return Change(run=number, at=now(), tags={ON_FRONT: "true" if on_front else "false"})


def front(size: int, hypervolume: float, step: int, files: Mapping[str, str]) -> Change:
    """The front as it is after `step` trials."""
    metrics = {"hypervolume": hypervolume, "front_size": float(size)}
    return Change(run=None, at=now(), metrics=metrics, step=step, artifacts=files)


def finished(status: Ending) -> Change:
    """The study has ended."""
    return Change(run=None, at=now(), status=status)


def now(seconds: float | None = None) -> int:
    """Milliseconds since the epoch, of now or of a time in seconds."""
    return round((time.time() if seconds is None else seconds) * 1000)


def _params(params: Mapping[str, Scalar]) -> dict[str, str]:
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in params.items()}
    return _names(texts)


def _names(values: Mapping[str, T]) -> dict[str, T]:
    return {_NOT_IN_A_NAME.sub("_", name): value for name, value in values.items()}
