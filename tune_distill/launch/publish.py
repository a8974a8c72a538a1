"""What is kept current while a search runs: front.json, front.html and the runs in MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tune_distill.confirm.read import opened, seen
from tune_distill.folder import Rung, StudyFolder, TrialRecord, write_atomically
from tune_distill.launch.standing import Standing
from tune_distill.outcome import Outcome
from tune_distill.plots import front_data, report
from tune_distill.space import Params
from tune_distill.spec import StudySpec
from tune_distill.track import Tracker


class Telling:
    """A listener that tells the tracker of trials.

    Args:
        tracker: open; a study's run was begun.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def started(self, number: int, params: Params) -> None:
        """A trial was handed out."""
        self._tracker.started(number, params)

    def reported(self, number: int, rung: Rung) -> None:
        """A trial reached a rung."""
        self._tracker.reported(number, rung)

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""
        self._tracker.ended(record)

    def front(self, now: Standing) -> None:
        """How the search stands: nothing to tell."""


class TellingHeldOut(Telling):
    """The same, with what a confirmation's trials do on the held-out rows.

    Args:
        tracker: open.
        folder: of the confirmation.
    """

    def __init__(self, tracker: Tracker, folder: StudyFolder) -> None:
        super().__init__(tracker)
        self._folder = folder

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""
        super().ended(record)
        trial = self._folder.trial(record.number)
        if seen(trial):
            measures = opened(trial).outcome.measures()
            self._tracker.measured(
                record.number, {f"heldout.{name}": value for name, value in measures.items()}
            )


class Publisher(Telling):
    """The same for a search, which writes its front's files, too.

    Args:
        spec: of the study.
        folder: of the study; the files go there.
        teacher: the teacher's measures, for comparison.
        tracker: open.
    """

    def __init__(
        self, spec: StudySpec, folder: StudyFolder, teacher: Outcome, tracker: Tracker
    ) -> None:
        super().__init__(tracker)
        self._spec, self._folder, self._teacher = spec, folder, teacher

    def front(self, now: Standing) -> None:
        """How the search stands: the files are written anew, and uploaded."""
        files = self._write(now)
        self._tracker.front(now.front, now.hypervolume, len(now.records), files)

    def _write(self, now: Standing) -> Mapping[str, Path]:
        spec = self._spec
        data = front_data(now.records, spec.axes, self._teacher.measures(), spec.name, spec.bounds)
        files = {name: self._folder.path / name for name in ("front.json", "front.html")}
        write_atomically(files["front.json"], json.dumps(data, indent=1))
        write_atomically(files["front.html"], report(data))
        return files
