"""What is kept current while a search runs: the front's files, and the runs in MLflow.

    front.json  front.html  front.md (the description of the study's run)  front.png (its picture)

Writing them takes the driver half a second; so that hundreds of trials that end shortly after one
another don't keep it busy, they are written again after a while, and at the end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tune_distill.confirm.read import metrics
from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.launch.note import NOTE, PICTURE, note
from tune_distill.launch.standing import Standing
from tune_distill.plots import as_json, report, students, study_data
from tune_distill.plots.data import Data
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Params
from tune_distill.spec import StudySpec
from tune_distill.spec.load import read
from tune_distill.track import Tracker

_PAUSE = 10.0  # seconds between two writings of the front's files, at least
_SIZE = {"columns": 2, "dpi": 96}  # 800 pixels: MLflow's page shrinks no picture to its column
_SHARE = 20  # and so many times as long as a writing takes


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
        if found := metrics(self._folder.trial(record.number)):
            self._tracker.measured(record.number, found)


class Publisher(Telling):
    """The same for a search, which writes its front's files, too.

    Args:
        spec: of the study.
        folder: of the study; the files go there.
        tracker: open.
        export: the command that exports the front's knee.
    """

    def __init__(self, spec: StudySpec, folder: StudyFolder, tracker: Tracker, export: str) -> None:
        super().__init__(tracker)
        self._spec, self._folder, self._export = spec, folder, export
        self._late: Standing | None = None  # what the files don't show yet
        self._next = 0.0  # when they may be written again

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._late is not None:
            self._publish(self._late)

    def front(self, now: Standing) -> None:
        """How the search stands: the files are written anew and uploaded, at once or later."""
        if time.monotonic() < self._next:
            self._late = now
            self._tracker.front(now.front, now.hypervolume, len(now.records))
        else:
            self._publish(now)

    def _publish(self, now: Standing) -> None:
        self._late, began = None, time.monotonic()
        files = self._write(now)
        note = self._folder.path / NOTE
        self._tracker.front(now.front, now.hypervolume, len(now.records), files, note)
        ended = time.monotonic()
        self._next = ended + max(_PAUSE, _SHARE * (ended - began))

    def _write(self, now: Standing) -> Mapping[str, Path]:
        spec = self._spec
        data = study_data(self._folder, spec, now.records)
        files = {name: self._folder.path / name for name in ("front.json", "front.html")}
        write_atomically(files["front.json"], as_json(data))
        page = report(data, students(read(self._folder.study), data))
        write_atomically(files["front.html"], page)
        drawn = _picture(data)
        if drawn is not None:
            files[PICTURE] = self._folder.path / PICTURE
            write_atomically(files[PICTURE], drawn)
        text = note(data, spec.description, self._export, pictured=drawn is not None)
        write_atomically(self._folder.path / NOTE, text)
        return files


def _picture(data: Data) -> bytes | None:
    if not data["front"]:
        return None
    from tune_distill.plots.picture import picture  # Matplotlib waits until trials run

    return picture(data, data["knee"], "the knee", **_SIZE)
