"""Tune, round after round, until the trials that a study wants have ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tune_distill.errors import TuneDistillError
from tune_distill.launch.capacity import Capacity
from tune_distill.launch.carry import pack
from tune_distill.launch.limits import Hours
from tune_distill.launch.listeners import Audience
from tune_distill.launch.nodes import alive, require_shared
from tune_distill.launch.session import Session, interruptible
from tune_distill.launch.standing import Standing, standing
from tune_distill.launch.streak import Streak
from tune_distill.launch.watch import HUNG, Stop, Watch
from tune_distill.launch.worker import Job, obituary, unended, work
from tune_distill.record import State, TrialRecord
from tune_distill.scheduler import EarlyStopping, StopEarly
from tune_distill.searcher import Asker, Draw
from tune_distill.spec import StudySpec


class Rounds:
    """The trials of a folder that is ours, their inputs being there.

    Args:
        spec: the study.
        job: what every trial needs.
        audience: who is told.
        say: gets a line now and then, for people.
        ask: makes the searcher, given what it is to call (`Asker`).
        early: judges the trials at their rungs; hears first what is on disk of them.
    """

    def __init__(
        self,
        spec: StudySpec,
        job: Job[Any],
        audience: Audience,
        say: Callable[[str], None],
        ask: Callable[..., Asker],
        early: EarlyStopping,
    ) -> None:
        self.spec, self.job, self.audience, self.say = spec, job, audience, say
        self.early = early
        self.records = {record.number: record for record in job.folder.records()}
        self.streak = Streak()
        self.hours = Hours(spec)
        self.asker = ask(
            late=self.hours.over,
            started=lambda draw: audience.started(draw.number, draw.params),
            ended=self._ended,
            unfiled=self._unfiled,
        )
        limit = spec.resources.max_minutes_per_trial
        patience = None if limit is None else 60 * limit * HUNG
        self.watch = Watch(self.asker, audience.reported, self._refresh, say, patience)
        if early.active:
            for record in self.records.values():
                early.replay(record.number, record.params, record.rungs)
            for number, params, rungs in unended(job):
                early.replay(number, params, rungs)

    def run(self, session: Session, elastic: bool) -> Standing:
        """Runs what is left of the budget, Ray being in a session; `elastic`: nodes may join."""
        self._refresh()
        if self._left() > 0:
            with session(), interruptible() as self.watch.interrupted:
                if not self.job.folder.everywhere:
                    require_shared(self.job.folder.path, alive())
                self.asker.room = Capacity(self.spec.resources, elastic=elastic)
                while self._left() > 0 and not self.asker.exhausted and not self.hours.over():
                    self._round()
        if self._left() > 0 and self.hours.over():
            self.say(self.hours.said(len(self.records)))
        if self.asker.exhausted:
            self.say(
                f"the space is exhausted after {len(self.records)} of {self.spec.search.trials} "
                "trials: further draws repeat what was tried, or cannot be trained"
            )
        return self._refresh()

    def _round(self) -> None:
        """Runs Tune; again where it has let a trial go without a word."""
        before = len(self.records)
        try:
            self._fit()
        except Stop as stop:
            self._refresh()
            raise stop.reason from None
        if self.asker.error:
            raise self.asker.error
        if len(self.records) == before and not self.asker.exhausted and not self.hours.over():
            raise TuneDistillError(
                f"Ray Tune gave up with {self._left()} trials to go; the same command goes on"
            )
        self.asker.requeue()

    def _fit(self) -> None:
        resources = self.spec.resources
        packed = pack(self.job, self.job.folder)

        def trial(config: dict[str, Any]) -> None:
            work(packed, config)

        share = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
        tune.Tuner(
            tune.with_resources(trial, share),
            tune_config=tune.TuneConfig(
                search_alg=self.asker,
                scheduler=StopEarly(self.early),
                num_samples=self._left(),
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(self.job.folder.path),
                failure_config=tune.FailureConfig(max_failures=self.spec.search.max_failures),
                callbacks=[self.watch],
                verbose=0,
            ),
        ).fit()

    def _left(self) -> int:
        return self.spec.search.trials - len(self.records)

    def _ended(self, record: TrialRecord) -> None:
        self.job.folder.ours()
        self.job.folder.fetch_told(record.number)
        self.records[record.number] = record
        self.watch.changed()
        self.audience.ended(record)
        self.streak.ended(record)

    def _unfiled(self, trial_id: str, draw: Draw, state: State) -> TrialRecord:
        error = self.watch.cause(trial_id) if state == "failed" else None
        why = self.early.reasons.get(draw.number, "")
        return obituary(self.job, draw.number, draw.params, draw.started, error, why)

    def _refresh(self) -> Standing:
        asker = self.asker
        now = standing(
            list(self.records.values()),
            self.spec.axes,
            self.spec.search.trials,
            asker.rejected,
            asker.exhausted,
            self.spec.bounds,
        )
        self.audience.front(now)
        return now


def _name(trial: Trial) -> str:
    return f"trial_{trial.config['number']:05d}"
