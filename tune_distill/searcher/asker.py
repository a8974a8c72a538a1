"""A searcher that hands out trials and hears how each ended, whatever it is that chooses them."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.search import Searcher

from tune_distill.folder import StudyFolder
from tune_distill.record import State, TrialRecord
from tune_distill.space import Params


@dataclass(frozen=True)
class Draw:
    """A trial that Tune is to run."""

    number: int
    params: Params  # with the seed
    started: float  # seconds since the epoch


Unfiled = Callable[[str, Draw, State], TrialRecord]


class Asker(Searcher, ABC):
    """Between Tune and who chooses the trials. An error in here is kept in `error`.

    `room` says how many trials may be in flight.

    Args:
        folder: where the records are.
        late: whether no further trial may start.
        started: called with each trial that is handed out.
        ended: called with the record of each trial that ends.
        unfiled: files and returns the record of a trial (Tune's id, draw, state) whose worker
            could not: it was stopped, or its worker is lost.
    """

    def __init__(
        self,
        folder: StudyFolder,
        *,
        late: Callable[[], bool] = lambda: False,
        started: Callable[[Draw], None] = lambda _: None,
        ended: Callable[[TrialRecord], None] = lambda _: None,
        unfiled: Unfiled,
    ) -> None:
        super().__init__()
        self.folder = folder
        self._late, self._started, self._ended, self._unfiled = late, started, ended, unfiled
        self.error: Exception | None = None
        self.exhausted = False
        self.closed = False
        self.room: Callable[[], float] = lambda: math.inf
        self._live: dict[str, Draw] = {}

    @property
    def rejected(self) -> dict[str, int]:
        """How many draws got no trial, by why."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's config for Tune, FINISHED, or None while there is no room for one."""
        if self.error or self.closed or self._late():
            return str(Searcher.FINISHED)
        if len(self._live) >= self.room():
            return None
        try:
            draw = self._next()
            if draw is None:
                return str(Searcher.FINISHED)
            self._live[trial_id] = draw
            self._started(draw)
        except Exception as error:
            self.error = error
            return str(Searcher.FINISHED)
        return {"number": draw.number, "params": draw.params, "started": draw.started}

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,
    ) -> None:
        """Files and tells the end of a trial: as its worker recorded it, or else as it looks."""
        draw = self._live.pop(trial_id, None)
        if draw is None or self.closed:
            return
        try:
            record = self._record(trial_id, draw, result or {}, error)
            self._tell(record)
            self._ended(record)
        except Exception as problem:
            self.error = problem

    def close(self) -> None:
        """Hands nothing out and tells nothing from now on: the search is being stopped."""
        self.closed = True

    def requeue(self) -> None:
        """Takes back the trials that Tune has let go without a word, to hand them out again."""
        self._take_back(list(self._live.values()))
        self._live.clear()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal and the records are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a search resumes from the journal and the records."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, for the same reason; what Tune pickles of a search is never read."""
        return {}

    @abstractmethod
    def _next(self) -> Draw | None:
        """The next trial; None when there is none."""

    @abstractmethod
    def _take_back(self, draws: list[Draw]) -> None:
        """Trials to hand out again."""

    def _tell(self, record: TrialRecord) -> None:
        """Hears how a trial ended."""

    def _record(
        self, trial_id: str, draw: Draw, result: Mapping[str, Any], lost: bool
    ) -> TrialRecord:
        """What the worker recorded; for one that could not, what the driver knows of it."""
        if "record" in result:
            return TrialRecord.from_json(json.loads(result["record"]))
        return self.folder.read(draw.number) or self._unfiled(
            trial_id, draw, "failed" if lost else "pruned"
        )
