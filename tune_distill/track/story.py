"""What happens in a search, as changes to runs: names, tags and metrics are chosen here.

| run     | metrics                                       | by step     |
|---------|-----------------------------------------------|-------------|
| trial   | rung.accuracy, rung.guard, loss.total, ...    | epoch       |
| trial   | system/cpu_utilization_percentage, ...        | epoch       |
| trial   | accuracy, accuracy.low, size_mb, ..., seconds | once        |
| teacher | accuracy, accuracy.low, size_mb, ...          | once        |
| study   | hypervolume, front_size                       | trials ended|

What a rung measures has a name of its own, so that sorting by an objective sorts finished students.
The tags that people filter by have short names, as they are typed: `tags.on_front = 'true'`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from tune_distill.outcome import Goal, Outcome
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Scalar
from tune_distill.track.change import PREFIX, Change, DatasetUse
from tune_distill.track.view import VIEW, state

T = TypeVar("T")
Ending = Literal["FINISHED", "FAILED", "KILLED"]
STATE, REASON, ON_FRONT, AT_CHANCE = "state", "reason", "on_front", "at_chance"
METHOD, SEED, LAST_RUNG = "method", "seed", "rung"
TEACHER = (
    "teacher"  # of `method` and `on_front`: `tags.on_front != 'false'` finds it with the front
)
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


def view(study_id: str, objectives: Mapping[str, Goal], knobs: Sequence[str]) -> Change:
    """How MLflow's page shows the study's runs; a tag of the experiment (`Writer`)."""
    tags = {f"{VIEW}{study_id}": state(study_id, objectives, knobs)}
    return Change(run=None, at=now(), tags=tags)


def started(
    number: int,
    params: Mapping[str, Scalar],
    tags: Mapping[str, str],
    datasets: Sequence[DatasetUse],
    at: float | None,
) -> Change:
    """A trial starts."""
    drawn = {METHOD: params.get("method"), SEED: params.get("train.seed")}
    told = {name: str(value) for name, value in drawn.items() if value is not None}
    return Change(
        run=number,
        at=now(at),
        name=f"trial {number}",
        params=_params(params),
        tags={STATE: "running", **told, **tags},
        datasets=tuple(datasets),
        status="RUNNING",
    )


def teacher(
    name: str,
    outcome: Outcome,
    params: Mapping[str, Scalar],
    tags: Mapping[str, str],
    datasets: Sequence[DatasetUse],
) -> Change:
    """A teacher, measured as its students are."""
    return Change(
        run=name,
        at=now(),
        name=name,
        params=_params(params),
        tags={METHOD: TEACHER, ON_FRONT: TEACHER, STATE: "complete", **tags, **_flags(outcome)},
        metrics=_measures(outcome),
        datasets=tuple(datasets),
        status="FINISHED",
    )


def reported(number: int, rung: Rung, at: float | None) -> Change:
    """A trial has ended an epoch."""
    metrics = {
        RUNG: rung.accuracy,
        "rung.updates": float(rung.updates),
        "rung.seconds": rung.seconds,
        **({} if rung.guard is None else {"rung.guard": rung.guard}),
        **{f"loss.{name}": value for name, value in rung.losses.items()},
        **{f"system/{name}": value for name, value in rung.system.items()},
    }
    tags = {LAST_RUNG: str(rung.epoch)}
    return Change(run=number, at=now(at), tags=tags, metrics=_names(metrics), step=rung.epoch)


def ended(record: TrialRecord, on_front: str) -> Change:
    """A trial has ended."""
    outcome = record.outcome
    flags = _flags(outcome) if outcome else {}
    return Change(
        run=record.number,
        at=now(record.started + record.seconds if record.started else None),
        tags={STATE: record.state, ON_FRONT: on_front, REASON: record.reason, **flags},
        metrics={"seconds": record.seconds, **(_measures(outcome) if outcome else {})},
        status=_STATUS[record.state],
    )


def _measures(outcome: Outcome) -> dict[str, float]:
    """All measures, and the ends of their intervals."""
    metrics = outcome.measures()
    for name, interval in outcome.intervals.items():
        metrics |= {f"{name}.low": interval.low, f"{name}.high": interval.high}
    return metrics


def _flags(outcome: Outcome) -> dict[str, str]:
    """What makes a model's figures say less than they seem to."""
    return {AT_CHANCE: "true"} if outcome.at_chance else {}


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
