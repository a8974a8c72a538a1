"""What is told to MLflow: changes to runs, what is new in one, and several folded into one.

A search is a list of changes, each to one run. `Known` remembers what was told before, and strips
a change of it: a resumed search may tell its whole story again and only the news gets through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from tune_distill.track.uri import redacted

Run = int | str | None  # a trial's number, a teacher's name; None is the study's own run
PREFIX = "tune_distill."
NOTE = "mlflow.note.content"  # what MLflow shows as a run's description


@dataclass(frozen=True)
class DatasetUse:
    """A data set that the study read."""

    name: str
    digest: str
    context: str  # train, search, heldout: what it was read for
    source: str = ""  # where it is from, as text
    rows: int | None = None


@dataclass(frozen=True)
class Change:
    """A change to one run."""

    run: Run
    at: int  # milliseconds since the epoch
    name: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0  # of the metrics
    status: str = ""  # RUNNING, FINISHED, FAILED or KILLED; empty where it stays
    datasets: tuple[DatasetUse, ...] = ()
    # Name in the run: file. One named NOTE becomes the run's description.
    artifacts: Mapping[str, str] = field(default_factory=dict)

    def without_secrets(self) -> Change:
        """The change with no user, password or query in any URL of its texts."""
        return replace(
            self,
            params={k: redacted(v) for k, v in self.params.items()},
            tags={k: redacted(v) for k, v in self.tags.items()},
            datasets=tuple(replace(d, source=redacted(d.source)) for d in self.datasets),
        )

    def to_line(self) -> str:
        """One line of JSON, without what is empty."""
        full = asdict(self)
        kept = {k: v for k, v in full.items() if v or k in {"run", "at"}}
        return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str) -> Change:
        """The change that `to_line` wrote."""
        data: dict[str, Any] = json.loads(line)
        data["datasets"] = tuple(DatasetUse(**d) for d in data.get("datasets", ()))
        return cls(**data)

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        told = (self.params, self.tags, self.metrics, self.status, self.datasets, self.artifacts)
        return not any(told)


class Known:
    """What one run was told so far."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.metrics: set[tuple[str, int, str]] = set()
        self.status = ""
        self.datasets: set[DatasetUse] = set()

    def add(self, change: Change) -> None:
        """Remembers a change."""
        self.params |= change.params
        self.tags |= change.tags
        self.metrics |= {_metric(k, v, change.step) for k, v in change.metrics.items()}
        self.status = change.status or self.status
        self.datasets |= set(change.datasets)

    def has(self, metric: str, step: int) -> bool:
        """Whether a metric was told at a step, whatever its value."""
        return any(key == metric and at == step for key, at, _ in self.metrics)

    def news(self, change: Change) -> Change:
        """The change without what is known.

        A tag that is empty is news only where it empties one. A param that changed, as a resumed
        study's budget may, becomes a tag: MLflow refuses to change params.
        """
        changed = {
            f"{PREFIX}changed.{k}": v
            for k, v in change.params.items()
            if self.params.get(k, v) != v
        }
        tags = {**change.tags, **changed}
        return replace(
            change,
            params={k: v for k, v in change.params.items() if k not in self.params},
            tags={k: v for k, v in tags.items() if self.tags.get(k, "") != v},
            metrics={
                k: v
                for k, v in change.metrics.items()
                if _metric(k, v, change.step) not in self.metrics
            },
            status="" if change.status == self.status else change.status,
            datasets=tuple(d for d in change.datasets if d not in self.datasets),
        )


@dataclass
class Folded:
    """All changes to one run, as one."""

    started: int
    name: str = ""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)  # value, at, step
    status: str = ""
    ended: int | None = None
    datasets: list[DatasetUse] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        """Folds a later change in."""
        self.name = self.name or change.name
        self.params = {**change.params, **self.params}
        self.tags |= change.tags
        self.metrics += [(k, v, change.at, change.step) for k, v in change.metrics.items()]
        self.datasets += change.datasets
        self.artifacts |= change.artifacts
        if change.status:
            self.status = change.status
            self.ended = None if change.status == "RUNNING" else change.at


def fold(changes: Iterable[Change]) -> dict[Run, Folded]:
    """One change a run, the study's own first: the others are nested under it."""
    runs: dict[Run, Folded] = {}
    for change in changes:
        runs.setdefault(change.run, Folded(started=change.at)).add(change)
    return dict(sorted(runs.items(), key=lambda item: item[0] is not None))


def _metric(key: str, value: float, step: int) -> tuple[str, int, str]:
    return (key, step, repr(float(value)))  # repr: two NaN are the same news
