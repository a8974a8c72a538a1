"""A study in an object store: its folder is this machine's copy, the bucket's `trials/` the truth.

driver   holds the lease, pulls the small files, pushes its own (journal, front ...) every 10 s
worker   pulls its trial and what all trials need, pushes each rung at once and the checkpoint
         within seconds, the student at the end, and the record last
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tune_distill.errors import StorageError
from tune_distill.folder import StudyFolder
from tune_distill.lock import Owner, last, locked, owner
from tune_distill.record import TrialRecord
from tune_distill.spec import StudySpec
from tune_distill.storage import lease as leases
from tune_distill.storage.lease import Lease
from tune_distill.storage.mirror import Mirror
from tune_distill.storage.repeating import Repeating
from tune_distill.storage.wanted import STATE, files, needed, owned, viewed

EVERY = 5.0  # seconds between looks at what a running trial has written


@dataclass(frozen=True)
class StudyInBucket(StudyFolder):
    """The study's folder in a mirror. Every method may raise StorageError."""

    mirror: Mirror
    _keepers: list[Repeating] = field(default_factory=list, compare=False, repr=False)
    _pushing: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    everywhere = True

    def __reduce__(self) -> tuple[Any, ...]:
        return _elsewhere, (self.mirror, self.mirror.name(self.path))

    @property
    def storage(self) -> str:
        """The bucket's URL."""
        return self.mirror.url

    @property
    def cache(self) -> Path:
        """As of `StudyFolder`: this machine's copy."""
        return self.mirror.root / "cache"

    @property
    def shown(self) -> str:
        """Its URL, without a query."""
        return f"{self.mirror.url.partition('?')[0]}/{self.mirror.name(self.path)}"

    def within(self, name: str) -> StudyInBucket:
        """As of `StudyFolder`."""
        return StudyInBucket(self.path / name, self.mirror)

    def beside(self, name: str) -> StudyInBucket:
        """As of `StudyFolder`."""
        return StudyInBucket(self.path.parent / name.strip("/"), self.mirror)

    def begun(self) -> bool:
        """Whether its document is in the bucket."""
        return self.mirror.bucket.read(self.mirror.name(self.study)) is not None

    def pull(self) -> None:
        """Brings the study's files, but for students, the journal and trials that may be running.

        Nothing where a process of this machine owns the study: its copy is ahead of the bucket.
        """
        if owner(self.path / "lock") is None:
            self.mirror.pull(self.path, viewed)

    @contextmanager
    def locked(self, say: Callable[[str], None] = lambda _line: None) -> Iterator[Owner]:
        """Holds this machine's lock and the bucket's; pulls, and keeps pushing what is written."""
        self.path.mkdir(parents=True, exist_ok=True)
        file = self.path / "lock"
        before = last(file)  # dead, if the kernel gives us its lock
        with locked(file) as me:
            lease = Lease(self.mirror.bucket, self.mirror.name(file), self.shown, me)
            lease.take(before, say)

            def beat() -> None:
                lease.renew()
                self.sync()

            try:
                self.mirror.pull(self.path, needed)
                with Repeating(leases.BEAT, beat) as keeper:
                    self._keepers.append(keeper)
                    yield me
                beat()
            except BaseException:
                with suppress(StorageError):
                    beat()
                raise
            finally:
                self._keepers.clear()
                with suppress(StorageError):  # it goes stale
                    lease.release()

    def owner(self) -> Owner | None:
        """Who has renewed the lease lately, by the store's clock."""
        bucket, name = self.mirror.bucket, self.mirror.name(self.path / "lock")
        return leases.owner(bucket, name) if bucket.age(name) < leases.STALE else None

    def ours(self) -> None:
        """Raises what the renewing of the lease ran into."""
        for keeper in self._keepers:
            keeper.check()

    def sync(self) -> None:
        """Pushes what has changed of the study's own files."""
        with self._pushing:
            own = [path for path in self.path.glob("[!.]*") if owned(path.name)]
            self.mirror.push(file for path in own for file in files(path))

    def set_aside(self) -> str:
        """Copies the study's objects under another name; the copy here goes with them."""
        kept = Path(super().set_aside())
        self.mirror.move(self.path, kept, ("lock",), last="study.yaml")
        return f"{self.mirror.url.partition('?')[0]}/{kept.name}"

    def borrow(self, spec: StudySpec) -> None:
        """Pulls what the index names; a torn entry is made again."""
        for name in self._lent(spec):
            self.mirror.pull_whole(self.mirror.root / name)  # if it is torn, it is made again

    def lend(self, spec: StudySpec, paths: Iterable[Path]) -> None:
        """Pushes entries whole, and adds them to the index."""
        paths = [path for path in paths if path.is_relative_to(self.cache)]
        for path in paths:
            self.mirror.push_whole(path)
        names = {*self._lent(spec), *(self.mirror.name(path) for path in paths)}
        self.mirror.bucket.write(self._index(spec), json.dumps(sorted(names)).encode())

    def _lent(self, spec: StudySpec) -> list[str]:
        return list(json.loads(self.mirror.bucket.read(self._index(spec)) or b"[]"))

    def _index(self, spec: StudySpec) -> str:
        about = spec.task.model_dump_json() + spec.teacher.model_dump_json()
        return f"cache/index/{hashlib.sha256(about.encode()).hexdigest()[:16]}.json"

    def fetch(self, number: int) -> bool:
        """Makes a trial's folder here what it is in the bucket."""
        if not self.begun():
            return False
        folder = self.trial(number)
        self.mirror.pull(folder, lambda name, _: not name.startswith((".", "student/")))
        self.mirror.pull_whole(folder / "student")
        return True

    def fetch_told(self, number: int) -> None:
        """Pulls the files of a trial, but no folder."""
        self.mirror.pull(self.trial(number), lambda name, _: "/" not in name and name[0] != ".")

    @contextmanager
    def keeping(self, number: int) -> Iterator[Callable[[], None]]:
        """Pushes what a trial has written: every few seconds, and when asked."""
        with Repeating(EVERY, lambda: self._keep(number)) as keeper:

            def keep() -> None:
                keeper.check()
                self._keep(number)

            yield keep

    def _keep(self, number: int) -> None:
        """Pushes a trial, but for its record; the student before what says that it is there."""
        folder = self.trial(number)
        with self._pushing:
            if (folder / "student").is_dir():
                self.mirror.push_whole(folder / "student")
            told = [p for p in folder.glob("[!.]*") if p.name not in ("student", "trial.json")]
            self.mirror.push(file for path in told for file in files(path))

    def read(self, number: int) -> TrialRecord | None:
        """The record in the bucket."""
        self.mirror.pull_file(self.trial(number) / "trial.json")
        return super().read(number)

    def write(self, record: TrialRecord) -> None:
        """Pushes the trial, its record last; what it would have gone on from goes."""
        folder = self.trial(record.number)
        folder.mkdir(parents=True, exist_ok=True)
        self._keep(record.number)
        super().write(record)
        self.mirror.push_file(folder / "trial.json")
        for state in STATE:
            if not (folder / state).is_dir():
                self.mirror.bucket.remove(self.mirror.name(folder / state))

    def student(self, number: int) -> Path:
        """As of `StudyFolder`; pulled, and held against its hashes."""
        path = super().student(number)
        if not self.mirror.pull_whole(path):
            raise StorageError(
                f"{self.mirror.url}: {self.mirror.name(path)} is not there as it was uploaded; "
                "delete the trial's trial.json, and the search trains it again"
            )
        return path

    def teacher_model(self) -> Path | None:
        """As of `StudyFolder`; pulled."""
        if model := self._teacher().get("model"):
            self.mirror.pull_whole((self.path / model).resolve())
        return super().teacher_model()


def _elsewhere(mirror: Mirror, name: str) -> StudyInBucket:
    return StudyInBucket(mirror.root / name, mirror)
