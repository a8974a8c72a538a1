"""Limits of time: of a trial's work, and of a run of a search. Neither cuts an epoch in two."""

from __future__ import annotations

import time

from tune_distill.record import Rung
from tune_distill.space import Params
from tune_distill.spec import StudySpec


class OverTime(Exception):  # noqa: N818 - no error of the trial's
    """A trial has had its time; raised through it, at an epoch's end."""


def check_time(limit: float | None, seconds: float, rung: Rung, params: Params) -> None:
    """Stops a trial that has worked too long; not one at its last epoch, which is as good as done.

    Raises:
        OverTime: `seconds` of work, restarts included, are over the limit in minutes.
    """
    epochs = params.get("train.epochs")
    last = rung.updates >= rung.planned if rung.planned else rung.epoch == epochs
    if limit is not None and seconds > 60 * limit and not last:
        raise OverTime(
            f"stopped after epoch {rung.epoch} of {epochs}: {seconds / 60:.3g} minutes, over "
            f"resources.max_minutes_per_trial = {limit:g}"
        )


class Hours:
    """The clock of a run of a search, which `search.max_hours` may end."""

    def __init__(self, spec: StudySpec) -> None:
        self._search, self._began = spec.search, time.monotonic()

    def over(self) -> bool:
        """Whether no further trial may start."""
        limit = self._search.max_hours
        return limit is not None and time.monotonic() - self._began > 3600 * limit

    def said(self, ended: int) -> str:
        """What an early end of the run leaves to do."""
        return (
            f"search.max_hours = {self._search.max_hours:g} is over after {ended} of "
            f"{self._search.trials} trials; the same command goes on"
        )
