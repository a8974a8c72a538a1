"""The Optuna study of a search: its journal, its sampler, and how both survive an interruption.

The truth is the record of each trial; the journal is what the sampler learns from. It is mended
where a killed process tore it, and built again from the records where it cannot be.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from tune_distill.folder import StudyFolder
from tune_distill.front import BETTER_THAN_CHANCE, rewards_the_idle
from tune_distill.record import TrialRecord
from tune_distill.scheduler.early import share
from tune_distill.searcher.draws import Infeasible, as_optuna
from tune_distill.searcher.ehvi import CURVE
from tune_distill.searcher.promise import Known
from tune_distill.searcher.samplers import STATIC, sampler
from tune_distill.space import Params
from tune_distill.spec import StudySpec

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def open_study(
    folder: StudyFolder,
    spec: StudySpec,
    known: Known = lambda _: {},
    infeasible: Infeasible = lambda _: [],
) -> optuna.Study:
    """The Optuna study in a study's folder, begun or continued.

    Only the owner of the study's lock may call this: what another process left half written in
    the journal is dropped.

    Args:
        folder: the study's.
        spec: the study.
        known: what a draw measures whatever it learns, for samplers that ask.
        infeasible: the reasons why a draw must not be trained, for the same.
    """
    quiet = spec.search.sampler in STATIC  # they warn of what we document, in every other draw
    optuna.logging.set_verbosity(optuna.logging.ERROR if quiet else optuna.logging.WARNING)
    _mend(folder.journal)
    study = optuna.create_study(
        storage=_Storage(_Journal(str(folder.journal))),
        study_name=spec.name,
        directions=["maximize" if axis.goal == "max" else "minimize" for axis in spec.axes],
        load_if_exists=True,
    )
    if not study.metric_names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # experimental since Optuna 3.2
            study.set_metric_names([axis.name for axis in spec.axes])
    _add_missing(study, spec, folder, len(study.get_trials(deepcopy=False)))
    study.sampler = sampler(spec, len(study.get_trials(deepcopy=False)), known, infeasible)
    return study


def tell(study: optuna.Study, record: TrialRecord, spec: StudySpec) -> None:
    """Tells Optuna how a trial ended; its constraints first, since then it is closed.

    Not by a sampler's `constraints_func`, which Optuna 5 deprecates.
    """
    known = study.get_trials(deepcopy=False)[record.number]
    for name, excess in constraints(record, spec).items():
        if name not in known.constraints:  # killed between the two, a search finds it there
            Trial(study, known._trial_id).set_constraint(name, excess)
    if (curve := _curve(record, spec)) and CURVE not in known.user_attrs:
        Trial(study, known._trial_id).set_user_attr(CURVE, curve)
    study.tell(record.number, values=values(record, spec), state=STATES[record.state])


def constraints(record: TrialRecord, spec: StudySpec) -> dict[str, float]:
    """By how much a record passes each constraint, at most 0 where it holds; none if unmeasured."""
    if record.outcome is None:
        return {}
    measures = record.outcome.measures()
    excess = {
        str(bound): bound.excess(measures[bound.measure])
        for bound in spec.bounds
        if bound.measure in measures
    }
    if rewards_the_idle(spec.axes):  # as in `Front.broken`
        excess[BETTER_THAN_CHANCE] = float(record.outcome.at_chance)
    return excess


def _curve(record: TrialRecord, spec: StudySpec) -> list[tuple[float, float]]:
    """(share of its training, accuracy) of each rung, for the sampler that learns from it."""
    if spec.search.sampler != "ehvi":
        return []
    return [(share(rung, record.params), rung.accuracy) for rung in record.rungs]


def values(record: TrialRecord, spec: StudySpec) -> list[float] | None:
    """What a record is worth in each objective; None unless it is complete."""
    if record.state != "complete" or record.outcome is None:
        return None
    measures = record.outcome.measures()
    return [measures[axis.name] for axis in spec.axes]


class _Storage(JournalStorage):
    """Optuna's storage of a journal's one study; it looks once at what has ended.

    Optuna's own goes through all trials three times for each of them: for those that were enqueued
    (`Study._pop_waiting_trial_id`), for the sampler, and to tell an end.
    """

    def __init__(self, journal: JournalFileBackend) -> None:
        super().__init__(journal)
        self._open: list[int] = []  # trials that had not ended
        self._seen = 0

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The study's trials by number; those in some states only, where these are given."""
        if deepcopy or states not in (None, (TrialState.WAITING,)):
            return super().get_all_trials(study_id, deepcopy, states)
        with self._thread_lock:
            self._sync_with_backend()
            trials = self._replay_result._trials
            if states is None:
                return list(trials.values())
            looked = (*self._open, *range(self._seen, len(trials)))
            self._open = [i for i in looked if not trials[i].state.is_finished()]
            self._seen = len(trials)
            return [trials[i] for i in self._open if trials[i].state == TrialState.WAITING]


class _Journal(JournalFileBackend):
    """Optuna's journal file, forced to disk once a trial and not fifteen times.

    A killed process loses nothing that was written; this is for machines that lose power. A draw is
    worth keeping from its last attribute, `params`, on: before it, no trial has begun. An end that
    the journal lost is told again from its record, which is on disk.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends operations; Optuna's own forces each to disk."""
        if all(_may_be_lost(log) for log in logs):
            text = "".join(f"{json.dumps(log, separators=(',', ':'))}\n" for log in logs)
            with Path(self._file_path).open("ab") as file:
                file.write(text.encode())
        else:
            super().append_logs(logs)


def _may_be_lost(log: Mapping[str, Any]) -> bool:
    draws = log["op_code"] == JournalOperation.SET_TRIAL_USER_ATTR and "params" in log["user_attr"]
    return not draws and log["op_code"] not in _OF_THE_STUDY


_OF_THE_STUDY = {
    JournalOperation.CREATE_STUDY,
    JournalOperation.DELETE_STUDY,
    JournalOperation.SET_STUDY_USER_ATTR,
    JournalOperation.SET_STUDY_SYSTEM_ATTR,
}


def _mend(journal: Path) -> None:
    """Drops a torn tail and a dead process's lock; moves a damaged journal aside."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if not journal.is_file():
        return
    raw = journal.read_bytes()
    whole, newline, torn = raw.rpartition(b"\n")
    try:
        for line in whole.splitlines():
            json.loads(line)
    except ValueError:
        stamp = time.strftime("%Y%m%dT%H%M%S")
        journal.replace(journal.with_name(f"{journal.name}.damaged-{stamp}"))
        return
    if torn:
        with journal.open("r+b") as file:
            file.truncate(len(whole) + len(newline))


def _add_missing(study: optuna.Study, spec: StudySpec, folder: StudyFolder, known: int) -> None:
    """Adds trials from number `known` on, which the journal does not have, by their numbers.

    Those that have begun and not ended are handed out again (`earlier.reconcile`).
    """
    trials: dict[int, tuple[Params, TrialRecord | None]] = {
        **{number: (params, None) for number, params in folder.unended()},
        **{record.number: (record.params, record) for record in folder.records()},
    }
    for number, (given, record) in sorted(trials.items()):
        if number < known:
            continue
        for _ in range(number - len(study.get_trials(deepcopy=False))):
            study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"lost": True}))
        params, distributions = as_optuna(spec.search_space, given)
        study.add_trial(
            create_trial(
                state=STATES[record.state] if record else TrialState.RUNNING,
                values=values(record, spec) if record else None,
                constraints=constraints(record, spec) if record else None,
                params=params,
                distributions=distributions,
                user_attrs={
                    "params": given,
                    "seed": given.get("train.seed"),
                    CURVE: _curve(record, spec) if record else [],
                },
            )
        )
