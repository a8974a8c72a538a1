"""The driver's side of tracking: tells what happens, waits for nothing."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from tune_distill.folder import StudyFolder
from tune_distill.outcome import Goal, Outcome
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Scalar
from tune_distill.track import story
from tune_distill.track.change import NOTE, Change, DatasetUse, Known, Run
from tune_distill.track.outbox import Outbox, Position
from tune_distill.track.sender import Sender
from tune_distill.track.story import ON_FRONT, REASON, RUNG, Ending
from tune_distill.track.uri import checked, default_artifacts, default_uri, redacted
from tune_distill.track.writer import Writer

_LOG = logging.getLogger(__name__)


class Tracker:
    """Tells MLflow what a search does; telling something twice is harmless.

    For one thread of one process: the study's folder must have no other tracker at the time.

    Args:
        folder: of the study; the outbox, and the default store, are in it.
        study_name: of its experiment.
        uri: of the tracking server; None is SQLite in the study's folder.
        run_name: of the study's own run; None is the study's name.
        say: gets a line when the server goes away, returns, or is still away at the end.
        resend: the command that sends what is left.
        interval: seconds for which changes are collected before they are sent.

    Raises:
        SpecError: MLflow knows no such kind of store.
    """

    def __init__(
        self,
        folder: StudyFolder,
        study_name: str,
        uri: str | None = None,
        *,
        run_name: str | None = None,
        say: Callable[[str], None] = _LOG.warning,
        resend: str = "the same search again",
        interval: float = 0.5,
    ) -> None:
        self.uri = default_uri(folder) if uri is None else checked(uri)
        self._name, self._say, self._resend = run_name or study_name, say, resend
        self._outbox = Outbox(folder.path / "outbox")
        self._known: defaultdict[Run, Known] = defaultdict(Known)
        self._shared: dict[str, str] = {}
        self._datasets: tuple[DatasetUse, ...] = ()
        for change, _ in self._outbox.read():
            self._known[change.run].add(change)
        artifacts = default_artifacts(folder) if uri is None else None
        writer = Writer(self.uri, study_name, self._outbox.study_id, artifacts)
        position = Position(self._outbox.folder, redacted(self.uri))
        self._sender = Sender(self._outbox, position, writer, say, interval)
        self._sender.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.finish("FAILED" if issubclass(kind, Exception) else "KILLED")
        self.close()

    def study(
        self,
        params: Mapping[str, Scalar] | None = None,
        tags: Mapping[str, str] | None = None,
        datasets: Sequence[DatasetUse] = (),
        artifacts: Mapping[str, Path] | None = None,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        """Starts, or resumes, the study's own run; `artifacts` by their name in the run.

        Tags that are `shared`, and the data sets, are those of the runs under it, too.
        """
        self._shared, self._datasets = dict(shared or {}), tuple(datasets)
        files, own = self._files(artifacts), {**(tags or {}), **self._shared}
        self._tell(story.study(self._name, params or {}, own, datasets, files))

    def view(self, objectives: Mapping[str, Goal], knobs: Sequence[str]) -> None:
        """How MLflow's page shows the study's runs: the columns, their order, the charts."""
        self._tell(story.view(self._outbox.study_id, objectives, knobs))

    def teacher(
        self, name: str, outcome: Outcome, params: Mapping[str, Scalar] | None = None
    ) -> None:
        """A teacher's run, beside those of its students, with the same measures."""
        self._tell(story.teacher(name, outcome, params or {}, self._shared, self._datasets))

    def started(
        self,
        number: int,
        params: Mapping[str, Scalar],
        tags: Mapping[str, str] | None = None,
        at: float | None = None,
    ) -> None:
        """A trial starts, or starts again; `at` in seconds since the epoch."""
        told = {REASON: "", **self._shared, **(tags or {})}
        self._tell(story.started(number, params, told, self._datasets, at))

    def reported(self, number: int, rung: Rung, at: float | None = None) -> None:
        """A trial has ended an epoch; one that is told already is not told again."""
        if not self._known[number].has(RUNG, rung.epoch):
            self._tell(story.reported(number, rung, at))

    def ended(self, record: TrialRecord) -> None:
        """A trial has ended: its objectives, its state, and what was not told of it before."""
        known, begun = self._known[record.number], record.started or None
        if not known.status:
            self.started(record.number, record.params, at=begun)
        for rung in record.rungs:
            self.reported(record.number, rung, at=begun and begun + rung.seconds)
        self._tell(story.ended(record, on_front=known.tags.get(ON_FRONT, "false")))

    def measured(self, number: int, metrics: Mapping[str, float]) -> None:
        """Further measures of a trial that has ended."""
        self._tell(story.measured(number, metrics))

    def front(
        self,
        numbers: Collection[int],
        hypervolume: float,
        step: int,
        artifacts: Mapping[str, Path] | None = None,
        note: Path | None = None,
    ) -> None:
        """The front as it is after `step` trials; its files are uploaded in their last version.

        The text of `note` becomes the description of the study's run; in it {run}, {experiment} and
        {study} stand for their ids. The last is the key of its view, too.
        """
        for number in sorted(self._trials(lambda k: k.tags.get(ON_FRONT) == "true") | set(numbers)):
            self._tell(story.marked(number, number in numbers))
        files = self._files(artifacts)
        if note is not None:
            files |= {NOTE: self._place(note)}
        self._tell(story.front(len(numbers), hypervolume, step, files))

    def reconcile(self, records: Sequence[TrialRecord]) -> None:
        """On resuming: tells what ended untold, and ends the runs of trials that no longer run."""
        for record in records:
            self.ended(record)
        self._kill("its search was interrupted")

    def finish(self, status: Ending = "FINISHED") -> None:
        """Ends the study's run, and any trial's that still runs."""
        self._kill("its search has ended")
        if self._known[None].status == "RUNNING":
            self._tell(story.finished(status))

    def close(self, timeout: float = 30.0) -> int:
        """Sends what is left within `timeout` seconds; the number of events that could not be."""
        self._sender.close(timeout)
        self._outbox.close()
        unsent, where = self._sender.unsent(), redacted(self.uri)
        if unsent:
            why = self._sender.problem or f"not all were received within {timeout:g} s"
            self._say(
                f"{unsent} events wait in {self._outbox.folder} for MLflow at {where} ({why}); "
                f"to send them, run {self._resend}"
            )
        if self._sender.refused:
            self._say(
                f"MLflow at {where} refused {self._sender.refused} events; "
                f"they and the reasons are in {self._outbox.folder / 'refused.jsonl'}"
            )
        return unsent

    def _kill(self, reason: str) -> None:
        for number in self._trials(lambda k: k.status == "RUNNING"):
            self._tell(story.killed(number, reason))

    def _trials(self, which: Callable[[Known], bool]) -> set[int]:
        return {n for n, known in self._known.items() if isinstance(n, int) and which(known)}

    def _files(self, artifacts: Mapping[str, Path] | None) -> dict[str, str]:
        files = {}
        for name, path in (artifacts or {}).items():
            if PurePosixPath(name).name != path.name:
                raise ValueError(f"an artifact keeps its file's name, got {name!r} for {path}")
            files[name] = self._place(path)
        return files

    def _place(self, path: Path) -> str:
        """Where a file is, from the study's folder: it may be moved with its outbox."""
        root, file = self._outbox.folder.parent.resolve(), path.resolve()
        return str(file.relative_to(root) if file.is_relative_to(root) else file)

    def _tell(self, change: Change) -> None:
        known = self._known[change.run]
        news = known.news(change.without_secrets())
        if not news.empty:
            self._outbox.append(news)
            known.add(news)
            self._sender.wake()
