"""What `tune-distill export` does, once its arguments are known to go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_distill.cli.options import say
from tune_distill.export import Bench, Source, Wanted, all_front, bundle, pick
from tune_distill.export.described import inputs
from tune_distill.export.figures import Figures
from tune_distill.export.push import Hub
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound
from tune_distill.track.flavour import Student
from tune_distill.track.models import log_student, tracked
from tune_distill.track.uri import default_uri

STUDENTS = Path("students")


@dataclass(frozen=True)
class Asked:
    """How students are written."""

    where: Sequence[Bound]
    wanted: Wanted
    measured: bool
    replace: bool

    def bench(self, source: Source) -> Bench | None:
        """What measures them; None where they aren't to be measured."""
        if not self.measured:
            return None
        folder = source.folder
        return Bench(source.spec, folder.cache, folder.teacher_model(), say)


@dataclass(frozen=True)
class Store:
    """The MLflow that students are logged to."""

    uri: str | None  # None: SQLite in the study's folder
    register: str | None = None  # a name in its registry


def student(
    source: Source, asked: Asked, rule: str, to: Path | None, store: Store | None, hub: Hub | None
) -> dict[str, Any]:
    """Writes, logs and uploads one student; what `--json` prints."""
    spec = source.spec
    record = pick(source.records, spec.axes, rule, [*spec.bounds, *asked.where], say)
    target = to or STUDENTS / source.name(record)
    figures = bundle(
        source,
        record,
        target,
        wanted=asked.wanted,
        bench=asked.bench(source),
        replace=asked.replace,
    )
    told: dict[str, Any] = {"folder": str(target), "trial": record.number}
    told |= _logged(source, record, target, metrics(figures), store)
    if hub:
        told["pushed"] = hub.push(target, f"Trial {record.number} of {spec.name}")
    forms = {name: one.to_json() for name, one in figures.items()}
    return {**told, **(record.outcome.measures() if record.outcome else {}), "forms": forms}


def front(source: Source, asked: Asked, to: Path | None, store: Store | None) -> dict[str, Any]:
    """Writes and logs every student of the front; what `--json` prints."""
    target = to or STUDENTS / f"{source.spec.name}-front"
    say(_which(source))
    written = all_front(
        source,
        target,
        where=tuple(asked.where),
        wanted=asked.wanted,
        bench=asked.bench(source),
        replace=asked.replace,
    )
    students = [
        {**one.told, **_logged(source, one.record, target / one.name, metrics(one.figures), store)}
        for one in written
    ]
    return {"folder": str(target), "students": students}


def _which(source: Source) -> str:
    """Which front is written, and what of the search's is not on it."""
    if source.confirmed is None:
        return "the search's front; confirm has not been run, so its figures are the search's own"
    known = {r.number for r in source.records if source.confirmed.of(r)}
    kept = [r.number for r in source.confirmed.members(source.records)]
    dropped = [number for number in source.front.members if number in known - set(kept)]
    unknown = [number for number in source.front.members if number not in known]
    said = f"the confirmed front: trials {', '.join(map(str, kept)) or 'none'}"
    if dropped:
        said += f"; without {', '.join(map(str, dropped))}, which fresh seeds took off it"
    if unknown:
        said += f"; without {', '.join(map(str, unknown))}, which confirm has not tried"
    return said


def conclude(told: Mapping[str, Any]) -> None:
    """What was written, and what to do with it, for people."""
    if "students" in told:
        say(f"{len(told['students'])} students; {told['folder']}/index.md compares them")
        return
    beside = {"folder", "trial", "forms", "model", "registered", "version", "pushed"}
    say(f"trial {told['trial']}: {summary({k: v for k, v in told.items() if k not in beside})}")
    for name, one in told["forms"].items():
        (found, *_) = one["heldout"]["heldout"].items()
        say(
            f"{name}: {found[0]} {found[1]['value']:.4f} on the held-out rows, "
            f"{one['size_mb']:.2f} MB, {one['latency']['median_ms']:.3g} ms a text"
        )
    if "model" in told:
        say(f"MLflow: {told.get('registered') or told['model']}")
    if "pushed" in told:
        say(f"pushed: {told['pushed']}")
    say(f'load it: transformers.pipeline("text-classification", "{told["folder"]}")')


def summary(measures: Mapping[str, float]) -> str:
    """Measures in a line."""
    return ", ".join(f"{name} {value:.6g}" for name, value in measures.items())


def metrics(figures: Mapping[str, Figures]) -> dict[str, float]:
    """The figures of a student's forms as metrics: `heldout.accuracy`, `int8.latency_ms` ..."""
    found: dict[str, float] = {}
    for form, one in figures.items():
        of = "" if form == "pytorch" else f"{form}."
        found[f"{of}latency_ms"] = one.latency.median_ms
        for split, scores in one.heldout.items():
            found |= {f"{of}{split}.{name}": each.score for name, each in scores.items()}
        if of:
            found[f"{of}size_mb"] = one.size_mb
            found |= {f"{of}{name}": each.score for name, each in one.robust.items()}
    return found


def _logged(
    source: Source,
    record: TrialRecord,
    folder: Path,
    measured: Mapping[str, float],
    store: Store | None,
) -> dict[str, str]:
    """Where a student is in MLflow; nothing where it isn't to be there."""
    if store is None:
        return {}
    if store.register is None and not tracked(source.folder, store.uri):
        say(
            f"not in MLflow: {default_uri(source.folder)} is not there; --tracking-uri names the "
            "server that the search was told to"
        )
        return {}
    spec = source.spec
    one = Student(
        record.number,
        source.name(record),
        folder,
        inputs(spec.task),
        measured,
    )
    logged = log_student(source.folder, one, store.uri, store.register)
    return {name: value for name, value in vars(logged).items() if value is not None}
