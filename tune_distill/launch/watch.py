"""The driver's eyes in Tune's loop: passes reports on, and stops a search at a safe moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial

from tune_distill.errors import TuneDistillError
from tune_distill.record import Rung
from tune_distill.scheduler import rung_of
from tune_distill.searcher import Asker

EVERY = 2.0  # seconds between two looks at the front, at least
HUNG = 3  # times a trial's limit without a word; at that limit it ends itself, at an epoch's end


class Stop(Exception):  # noqa: N818 - not an error; an Exception so that Tune cleans up after it
    """Leaves Tune's loop between two of its steps."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Watch(Callback):
    """Tune's callback.

    Args:
        asker: the searcher, whose errors stop the search.
        reported: called with a trial's number and each rung that it reaches.
        refresh: called at most every two seconds, and only after a trial has ended.
        say: called with a line for whoever runs the search.
        patience: seconds without a word after which a trial counts as hung; None waits for ever.

    Attributes:
        interrupted: set when the search is to stop.
    """

    def __init__(
        self,
        asker: Asker,
        reported: Callable[[int, Rung], None],
        refresh: Callable[[], object],
        say: Callable[[str], None],
        patience: float | None = None,
    ) -> None:
        self._asker, self._reported, self._refresh, self._say = asker, reported, refresh, say
        self._patience = patience
        self._heard: dict[str, float] = {}  # when each trial in flight was last heard of
        self._hung: dict[str, Exception] = {}
        self.interrupted = threading.Event()
        self._halt: Exception | None = None
        self._trials: dict[str, Trial] = {}
        self._changed, self._looked = False, 0.0

    @property
    def reason(self) -> BaseException | None:
        """Why the search has to stop; None while it may go on."""
        if self.interrupted.is_set():
            return KeyboardInterrupt()
        return self._halt or self._asker.error

    def cause(self, trial_id: str) -> Exception:
        """Why a trial's worker is lost, as Ray says it."""
        if trial_id in self._hung:
            return self._hung[trial_id]
        trial = self._trials.get(trial_id)
        # The driver's own copy: `get_pickled_error` reads the storage's, which is synced later.
        file = trial.pickled_error_file if trial else None
        if file is None or not Path(file).is_file():
            return RuntimeError("the worker is lost, and Ray does not say why")
        error: Exception = cloudpickle.loads(Path(file).read_bytes())
        return error

    def changed(self) -> None:
        """A trial has ended: the front may have moved."""
        self._changed = True

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: object) -> None:
        """Stops the search if it is to stop, and looks at the front now and then."""
        if reason := self.reason:
            self._leave(trials, reason)
        self._end_the_hung()
        if self._changed and time.monotonic() - self._looked > EVERY:
            self._changed, self._looked = False, time.monotonic()
            self._refresh()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Remembers the trial, to ask it for its error."""
        self._trials[trial.trial_id] = trial
        self._heard[trial.trial_id] = time.monotonic()

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: object,
    ) -> None:
        """Passes a rung on."""
        self._heard[trial.trial_id] = time.monotonic()
        if "halt" in result:
            self._halt = TuneDistillError(
                f"the study's storage cannot be used ({result['halt']}); mend or make room, and "
                "the same command goes on"
            )
        if rung := rung_of(result):
            self._reported(trial.config["number"], rung)

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Says that a worker was lost; the trial may wait for another as long as it takes."""
        self._heard.pop(trial.trial_id, None)
        number = trial.config["number"]
        self._say(f"trial {number}: its worker was lost; it goes on from its last checkpoint")

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Waits for no further word of it."""
        self._heard.pop(trial.trial_id, None)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        """Waits for no further word of it."""
        self._heard.pop(trial.trial_id, None)

    def on_experiment_end(self, trials: list[Trial], **info: object) -> None:
        """Lets go of Tune's trials."""
        self._trials.clear()
        self._heard.clear()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing; what Tune pickles of a search is never read."""
        return {}

    def _end_the_hung(self) -> None:
        """Ends the workers that have said nothing for too long; their trials fail for good."""
        now = time.monotonic()
        for trial_id, heard in list(self._heard.items()):
            if self._patience is None or now - heard < self._patience:
                continue
            del self._heard[trial_id]
            trial = self._trials[trial_id]
            self._hung[trial_id] = TimeoutError(
                f"no word of it for {(now - heard) / 60:.3g} minutes, over {HUNG} times "
                "resources.max_minutes_per_trial"
            )
            trial.max_failures = 0  # it would hang again
            actor = trial.temporary_state.ray_actor
            if actor is not None:
                ray.kill(actor)

    def _leave(self, trials: list[Trial], reason: BaseException) -> None:
        """Ends the workers, which would otherwise be waited for to the end of their epoch."""
        self._asker.close()
        for trial in trials:
            actor = trial.temporary_state.ray_actor
            if actor is not None:
                ray.kill(actor)
        raise Stop(reason)
