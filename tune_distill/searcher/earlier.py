"""What an earlier run of a search left: its trials brought to where the next one can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial, TrialState

from tune_distill.record import TrialRecord
from tune_distill.searcher.asker import Draw
from tune_distill.searcher.draws import key
from tune_distill.searcher.known import KNOWN
from tune_distill.searcher.study import tell
from tune_distill.space import Params
from tune_distill.spec import StudySpec


@dataclass
class Earlier:
    """The trials of earlier runs, by what is to be done with them."""

    new: bool  # the study has no trial of its own yet
    seen: set[str] = field(default_factory=set)  # keys of all draws that became trials
    again: list[Draw] = field(default_factory=list)  # handed out, not ended
    lost: list[tuple[int, Params]] = field(default_factory=list)  # ended, and their record is gone
    rejected: dict[str, int] = field(default_factory=dict)


def reconcile(study: optuna.Study, spec: StudySpec, records: Mapping[int, TrialRecord]) -> Earlier:
    """Tells what ended untold, fails what was cut short, and sorts the rest."""
    trials = study.get_trials(deepcopy=False)
    found = Earlier(
        new=all(KNOWN in trial.user_attrs for trial in trials),
        rejected={
            kind: sum(kind in t.user_attrs and "params" not in t.user_attrs for t in trials)
            for kind in ("infeasible", "duplicate")
        },
    )
    redone = {trial.user_attrs.get("again_of") for trial in trials}
    for trial in trials:
        params, record = trial.user_attrs.get("params"), records.get(trial.number)
        if params is None:
            _put_away(study, trial)
            continue
        found.seen.add(key(params, spec))
        if record is not None and not trial.state.is_finished():
            tell(study, record, spec)
        elif record is None and not trial.state.is_finished():
            found.again.append(Draw(trial.number, params, seconds(trial.datetime_start)))
        elif record is None and trial.number not in redone:
            found.lost.append((trial.number, params))
    return found


def _put_away(study: optuna.Study, trial: FrozenTrial) -> None:
    """Fails one that was being drawn when the search was killed."""
    if trial.state == TrialState.RUNNING:
        study.tell(trial.number, state=TrialState.FAIL)


def seconds(moment: datetime | None) -> float:
    """Since the epoch."""
    return moment.timestamp() if moment else 0.0
