"""A study's trials as arrays by number; each is read once, when it has ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe import sampler as optuna_tpe
from optuna.trial import FrozenTrial, TrialState

Numbers = NDArray[np.intp]  # of trials, rising but where something else is said

_RUNNING, _COMPLETE, _PRUNED, _INFEASIBLE = 1, 2, 3, 4  # 0: failed, or not begun


class Ended:
    """What TPE learns from: trials that have ended, and those that run; not the failed."""

    def __init__(self) -> None:
        self.count = 0  # of those that have ended
        self._kinds = np.zeros(0, dtype=np.int8)
        self._worth = np.zeros((0, 1))  # the objectives' values
        self._excess = np.zeros(0)  # by how much the constraints are broken
        self._columns: dict[str, NDArray[np.float64]] = {}  # parameters; NaN: not drawn there
        self._all: list[FrozenTrial] = []  # in the order in which their end was seen
        self._filled: dict[str, int] = {}  # how many of `_all` a column has
        self._running: list[FrozenTrial] = []
        self._open: list[int] = []  # numbers of those that had not ended
        self._seen = 0  # trials looked at

    def look(self, study: Study, drawn: FrozenTrial) -> None:
        """Finds those that have ended since, and those that run beside the one that is drawn."""
        trials = study._get_trials(deepcopy=False)
        self._grow(len(trials), len(study.directions))
        looked, self._open = [*self._open, *range(self._seen, len(trials))], []
        self._seen, self._running = len(trials), []
        for number in looked:
            trial = trials[number]
            self._kinds[number] = 0
            if trial.state.is_finished():
                self._add(trial)
                continue
            self._open.append(number)
            if trial.state == TrialState.RUNNING and number != drawn.number:
                self._running.append(trial)
                self._kinds[number] = _RUNNING

    def without(self, numbers: Numbers) -> Numbers:
        """Those that have ended or run, but for some."""
        left = self._kinds[: self._seen] > 0
        left[numbers] = False
        return np.flatnonzero(left)

    def complete(self) -> Numbers:
        """Those that have values and break no constraint."""
        return self._of(_COMPLETE)

    def pruned(self) -> Numbers:
        """Those that were stopped."""
        return self._of(_PRUNED)

    def infeasible(self) -> Numbers:
        """Those that break a constraint, the least broken first."""
        numbers = self._of(_INFEASIBLE)
        return numbers[np.argsort(self._excess[numbers], kind="stable")]

    def worth(self, numbers: Numbers) -> NDArray[np.float64]:
        """The objectives' values: (trials, objectives)."""
        return self._worth[numbers]

    def values(
        self, numbers: Numbers, name: str, distribution: BaseDistribution
    ) -> NDArray[np.float64]:
        """The values of a parameter in trials, as Optuna computes with them; those that have it."""
        column = self._columns[name] = _grown(self._columns.get(name, np.zeros(0)), self._seen)
        for trial in (*self._all[self._filled.get(name, 0) :], *self._running):
            if name in trial.params:
                column[trial.number] = distribution.to_internal_repr(trial.params[name])
        self._filled[name] = len(self._all)
        found = column[numbers]
        return np.asarray(found[~np.isnan(found)])

    def _of(self, kind: int) -> Numbers:
        return np.flatnonzero(self._kinds[: self._seen] == kind)

    def _add(self, trial: FrozenTrial) -> None:
        number, excess = trial.number, optuna_tpe._get_infeasible_trial_score(trial)
        if trial.state == TrialState.FAIL:
            return
        if excess > 0:
            self._kinds[number], self._excess[number] = _INFEASIBLE, excess
        elif trial.state == TrialState.COMPLETE:
            self._kinds[number], self._worth[number] = _COMPLETE, trial.values
        else:
            self._kinds[number] = _PRUNED
        self._all.append(trial)
        self.count += 1

    def _grow(self, count: int, objectives: int) -> None:
        if not self._seen:
            self._worth = np.zeros((0, objectives))
        self._kinds, self._excess = _grown(self._kinds, count), _grown(self._excess, count)
        self._worth = _grown(self._worth, count)


def _grown(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The array with room for so many rows; twice as many when it has to be copied."""
    if len(array) >= count:
        return array
    empty = 0 if array.dtype.kind == "i" else np.nan
    grown = np.full((2 * count, *array.shape[1:]), empty, dtype=array.dtype)
    grown[: len(array)] = array
    return grown
