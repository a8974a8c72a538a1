"""The story of a search: lock the folder, admit the document, prepare, run, stand back.

Everything that matters is on disk before the next step is taken: the document, each draw (Optuna's
journal), each rung and record (the trial's folder). So a search may be killed at any moment, and
the same command goes on with what is missing. Ray Tune's own state is never read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tune_distill.errors import TuneDistillError
from tune_distill.folder import State, StudyFolder, TrialRecord
from tune_distill.launch.limits import Hours
from tune_distill.launch.listeners import Audience, Listener
from tune_distill.launch.nodes import alive, require_shared
from tune_distill.launch.resume import admit, set_aside
from tune_distill.launch.session import concurrency, interruptible, ray_session
from tune_distill.launch.standing import Standing, standing
from tune_distill.launch.streak import Streak
from tune_distill.launch.watch import Stop, Watch
from tune_distill.launch.worker import Inputs, Job, ReadRungs, Run, obituary, work
from tune_distill.lock import locked
from tune_distill.searcher import AskTell, Draw, add_known, open_study
from tune_distill.space import Params
from tune_distill.spec import StudySpec, dump

Listen = Callable[[StudyFolder, Inputs], AbstractContextManager[Sequence[Listener]]]


def search(
    spec: StudySpec,
    document: Mapping[str, Any],
    storage: Path,
    *,
    prepare: Callable[[StudySpec, Path, Callable[[str], None]], Inputs],
    run: Run[Inputs],
    read_rungs: ReadRungs,
    infeasible: Callable[[Inputs, Params], list[str]] = lambda _inputs, _params: [],
    listen: Listen[Inputs] = lambda _folder, _inputs: nullcontext(()),
    say: Callable[[str], None] = lambda _line: None,
    address: str | None = None,
    num_cpus: int | None = None,
    fresh: bool = False,
    temporary: Path | None = None,
) -> Standing:
    """Runs a study, or what is left of it.

    Args:
        spec: the study.
        document: what `spec` was read from, overrides applied; kept as study.yaml.
        storage: the folder of all studies.
        prepare: makes, once, what all trials need.
        run: a trial, on a worker; a function that can be pickled.
        read_rungs: what a trial has reported so far, from its folder.
        infeasible: the reasons why a draw must not be trained; none for a good one.
        listen: opens the listeners, once the folder is locked, and closes them.
        say: gets a line now and then, for people.
        address: of a Ray cluster; None runs on this machine.
        num_cpus: of this machine, for Ray; None is all.
        fresh: moves the study's folder aside and begins again.
        temporary: Ray's folder for sockets and logs.

    Returns:
        The trials and their front.

    Raises:
        SpecError: the folder holds another study, or isn't seen from all nodes; or a trial fits no
            machine.
        NoFeasibleStudent: no draw of the space can be trained.
        TuneDistillError: another search runs the study; or its trials fail, all in the same way.
        KeyboardInterrupt: Ctrl-C; all that was done is kept.
    """
    folder = StudyFolder((storage / spec.name).resolve())
    if fresh and folder.path.exists():
        with locked(folder.path / "lock"):
            say(f"{folder.path} is kept as {set_aside(folder.path)}")
    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.path / "lock"):
        admit(folder, document)
        inputs = prepare(spec, folder.cache, say)
        with listen(folder, inputs) as listeners:
            job = Job(dump(document), folder, inputs, run, read_rungs)
            one = _Search(spec, job, Audience(listeners, say), say)
            one.asker.infeasible = partial(infeasible, inputs)
            return one.run(address, num_cpus, temporary)


class _Search:
    """A search whose folder is ours and whose inputs are there."""

    def __init__(
        self, spec: StudySpec, job: Job[Any], audience: Audience, say: Callable[[str], None]
    ) -> None:
        self.spec, self.job, self.audience, self.say = spec, job, audience, say
        self.records = {record.number: record for record in job.folder.records()}
        self.streak = Streak()
        study = open_study(job.folder, spec)
        add_known(study, job.folder, spec, say)
        self.hours = Hours(spec)
        self.asker = AskTell(
            study,
            spec,
            job.folder,
            late=self.hours.over,
            started=lambda draw: audience.started(draw.number, draw.params),
            ended=self._ended,
            unfiled=self._unfiled,
        )
        self.watch = Watch(self.asker, audience.reported, self._refresh, say)

    def run(self, address: str | None, num_cpus: int | None, temporary: Path | None) -> Standing:
        """Runs what is left of the budget."""
        self._refresh()
        if self._left() > 0:
            with (
                ray_session(self.spec.resources, address, num_cpus, temporary),
                interruptible() as self.watch.interrupted,
            ):
                require_shared(self.job.folder.path, alive())
                side_by_side = concurrency(self.spec.resources, elastic=address is not None)
                while self._left() > 0 and not self.asker.exhausted and not self.hours.over():
                    self._round(side_by_side)
        if self._left() > 0 and self.hours.over():
            self.say(self.hours.said(len(self.records)))
        if self.asker.exhausted:
            self.say(
                f"the space is exhausted after {len(self.records)} of {self.spec.search.trials} "
                "trials: further draws repeat what was tried, or cannot be trained"
            )
        return self._refresh()

    def _round(self, side_by_side: int) -> None:
        """Runs Tune; again where it has let a trial go without a word."""
        before = len(self.records)
        try:
            self._fit(side_by_side)
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

    def _fit(self, side_by_side: int) -> None:
        job, resources = self.job, self.spec.resources

        def trial(config: dict[str, Any]) -> None:
            work(job, config)

        share = {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial}
        tune.Tuner(
            tune.with_resources(trial, share),
            tune_config=tune.TuneConfig(
                search_alg=self.asker,
                num_samples=self._left(),
                max_concurrent_trials=side_by_side,
                reuse_actors=True,
                trial_name_creator=_name,
                trial_dirname_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(job.folder.path),
                failure_config=tune.FailureConfig(max_failures=self.spec.search.max_failures),
                callbacks=[self.watch],
                verbose=0,
            ),
        ).fit()

    def _left(self) -> int:
        return self.spec.search.trials - len(self.records)

    def _ended(self, record: TrialRecord) -> None:
        self.records[record.number] = record
        self.watch.changed()
        self.audience.ended(record)
        self.streak.ended(record)

    def _unfiled(self, trial_id: str, draw: Draw, state: State) -> TrialRecord:
        error = self.watch.cause(trial_id) if state == "failed" else None
        return obituary(self.job, draw.number, draw.params, draw.started, error)

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
