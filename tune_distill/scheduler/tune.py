"""Early stopping as Ray Tune's scheduler: one method, and how a report's rung is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from tune_distill.record import Rung
from tune_distill.scheduler.early import EarlyStopping


class StopEarly(FIFOScheduler):
    """Starts trials in their order, and stops those that are judged hopeless.

    It has no metric: Tune knows one at most. What Tune pickles of it is never read.
    """

    _supports_buffered_results = False  # a rung is judged before the trial goes on

    def __init__(self, early: EarlyStopping) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._early = early

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        """STOP for a trial that is not worth its further epochs."""
        rung = rung_of(result)
        if rung is None:
            return TrialScheduler.CONTINUE
        verdict = self._early.reported(trial.config["number"], trial.config["params"], rung)
        stop = verdict is not None and verdict.stop
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        """The first that waits; FIFO's own looks through all that ever ran, at every step."""
        live = tune_controller.get_live_trials()  # type: ignore[no-untyped-call]
        waiting = [trial for trial in live if trial.status == Trial.PENDING]
        return min(waiting, key=lambda trial: int(trial.config["number"]), default=None)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: the trials' rungs on disk are the state."""
        return {}


def rung_of(result: Mapping[str, Any]) -> Rung | None:
    """The rung that a report to Tune tells of; none in a trial's last."""
    return Rung(**json.loads(result["rung"])) if "rung" in result else None
