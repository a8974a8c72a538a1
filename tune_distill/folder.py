"""A study's folder: where everything is.

    STORAGE/
      cache/                 shared by all studies, by content hash: tasks/ signals/ teachers/
                             checkpoints/ tokenizers/
      NAME/
        study.yaml           the document that the study runs, overrides applied
        journal.log          Optuna's journal
        trials/00017/        trial.json (TrialRecord), initialise.txt (where its
                             tensors are from), attacks.parquet (what became of each attacked
                             row), checkpoint/ while it runs, student/ in the end
        teacher.json         the teacher's own measures, and where it is
        hardened.json        those of the teachers that a defence hardened, each with its knobs
        front.json front.html front.md (MLflow's description of the study) front.png
        mlflow.db artifacts/ the default MLflow store
        outbox/              what MLflow has not received yet
        tune/                Ray Tune's own state; a convenience, never the truth

The truth of a search is `trials/*/trial.json`: written by the trial's worker the moment that it
ends, so that neither a killed driver nor a torn snapshot can lose a finished trial.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from tune_distill.files import write_atomically
from tune_distill.hardening import HARDENINGS, Hardening
from tune_distill.lock import Owner, locked, owner
from tune_distill.outcome import Outcome
from tune_distill.record import TrialRecord, read
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig


@dataclass(frozen=True)
class StudyFolder:
    """The paths of one study, and its records.

    `storage/study.py` overrides what is more than a path where the study is in an object store and
    the folder is this machine's copy of it; here a folder is what every process sees.
    """

    path: Path

    everywhere = False  # whether every machine sees the study without a folder that is mounted

    @property
    def storage(self) -> str:
        """Where the study is, as `--storage` takes it."""
        return str(self.path.parent)

    @property
    def shown(self) -> str:
        """The study's place, as people read it."""
        return str(self.path)

    def resolved(self) -> Self:
        """The same, wherever a process works."""
        return replace(self, path=self.path.resolve())

    def within(self, name: str) -> Self:
        """A folder of a study's own shape inside it."""
        return replace(self, path=(self.path / name).resolve())

    def beside(self, name: str) -> StudyFolder:
        """Another study of the same storage."""
        return StudyFolder(self.path.parent / name)

    def begun(self) -> bool:
        """Whether the study has been started."""
        return self.study.is_file()

    def locked(
        self, say: Callable[[str], None] = lambda _line: None
    ) -> AbstractContextManager[Owner]:
        """Holds the study; as `lock.locked`. What is in the folder is current, and kept."""
        self.path.mkdir(parents=True, exist_ok=True)
        return locked(self.path / "lock")

    def owner(self) -> Owner | None:
        """Who runs the study just now."""
        return owner(self.path / "lock")

    def pull(self) -> None:
        """Brings what is to be read of a study here, but for students."""

    def ours(self) -> None:
        """Raises what keeps the owner of the lock from going on, if anything does."""

    def sync(self) -> None:
        """Keeps what this process wrote of the study, but for trials."""

    def set_aside(self) -> str:
        """Moves a study out of the way, under a name of its own; returns where it is now."""
        target = self.path.with_name(f"{self.path.name}.{time.strftime('%Y%m%dT%H%M%S')}")
        return str(self.path.rename(target))

    def borrow(self, spec: StudySpec) -> None:
        """Brings what earlier studies of such a task and teacher made into the cache."""

    def lend(self, spec: StudySpec, paths: Iterable[Path]) -> None:
        """Keeps what was made in the cache, for later studies."""

    def fetch(self, number: int) -> bool:
        """Brings a trial to where it goes on; False where the study isn't seen from here."""
        return self.begun()

    def fetch_told(self, number: int) -> None:
        """Brings what a trial has told so far, but not what it goes on from."""

    def keeping(self, number: int) -> AbstractContextManager[Callable[[], None]]:
        """Keeps what a trial writes while it runs; what it yields keeps it at once."""
        return nullcontext(lambda: None)

    @property
    def study(self) -> Path:
        """The document that the study runs."""
        return self.path / "study.yaml"

    @property
    def journal(self) -> Path:
        """Optuna's journal."""
        return self.path / "journal.log"

    @property
    def cache(self) -> Path:
        """Tasks, signals and teachers by content hash, shared by the studies of one storage."""
        return self.path.parent / "cache"

    def trial(self, number: int) -> Path:
        """The folder of one trial."""
        return self.path / "trials" / f"{number:05d}"

    def student(self, number: int) -> Path:
        """The final student of a complete trial, as Hugging Face files."""
        return self.trial(number) / "student"

    def write(self, record: TrialRecord) -> None:
        """Files the record of an ended trial, whole or not at all."""
        folder = self.trial(record.number)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "trial.json", json.dumps(record.to_json(), indent=1))

    def read(self, number: int) -> TrialRecord | None:
        """The record of a trial; None while it has not ended."""
        return read(self.trial(number) / "trial.json")

    def write_teacher(self, outcome: Outcome, model: Path | None = None) -> None:
        """Files the teacher's own measures, and where it is, for whoever compares."""
        at = {} if model is None else {"model": os.path.relpath(model, self.path)}
        told = json.dumps({**outcome.to_json(), **at}, indent=1)
        write_atomically(self.path / "teacher.json", told)

    def teacher(self) -> Outcome | None:
        """The teacher's own measures; None before the search has begun."""
        data = self._teacher()
        data.pop("model", None)
        return Outcome.from_json(data) if data else None

    def teacher_model(self) -> Path | None:
        """The teacher itself, as Hugging Face files; None where it is not there (any more)."""
        model = self.path / self._teacher().get("model", "")
        return model.resolve() if (model / "config.json").is_file() else None

    def _teacher(self) -> dict[str, Any]:
        try:
            found = json.loads((self.path / "teacher.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return dict(found)

    def write_hardened(self, found: Sequence[tuple[Hardening, Outcome]]) -> None:
        """Files the measures of the teachers that defences hardened, if there are some."""
        rows = [
            {"defence": one.name, "knobs": asdict(one), "outcome": outcome.to_json()}
            for one, outcome in found
        ]
        if rows:
            write_atomically(self.path / "hardened.json", json.dumps(rows, indent=1))

    def hardened(self) -> list[tuple[Hardening, Outcome]]:
        """The hardened teachers: each defence as of `Hardening.in_teacher`, and the measures."""
        try:
            rows = json.loads((self.path / "hardened.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [
            (HARDENINGS[row["defence"]](**row["knobs"]), Outcome.from_json(row["outcome"]))
            for row in rows
        ]

    def teacher_of(self, params: Params) -> Outcome | None:
        """The measures of the teacher that taught a draw: the study's, or a hardened one."""
        robust = TrialConfig.from_params(params).robust
        if robust is None or not robust.of_teacher:
            return self.teacher()
        return dict(self.hardened()).get(robust.in_teacher())

    def unended(self) -> Iterator[tuple[int, Params]]:
        """Number and parameters of each trial that has begun and not ended."""
        for file in sorted((self.path / "trials").glob("*/params.json")):
            if not (file.parent / "trial.json").is_file():
                yield int(file.parent.name), json.loads(file.read_text(encoding="utf-8"))

    def records(self) -> list[TrialRecord]:
        """The records of all ended trials, by number."""
        return list(self._records())

    def _records(self) -> Iterator[TrialRecord]:
        for file in sorted((self.path / "trials").glob("*/trial.json")):
            record = read(file)
            if record is not None:
                yield record
