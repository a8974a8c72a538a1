"""The best of the complete trials: their ranks are kept, and mended for each that is added.

A new trial takes the rank after those that dominate it. What it dominates of its own rank falls to
the next, and what that dominates there to the one after: Li, Deb, Zhang and Zhang 2017, "Efficient
Nondomination Level Update Method for Steady-State Evolutionary Multiobjective Optimization". Ranks
never rise, so that those well beyond the best need not be known until more are wanted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from optuna.samplers._tpe import sampler as optuna_tpe

from tune_distill import pareto
from tune_distill.searcher.ended import Numbers

_MANY = 100  # new trials at once, as after a resume: then all are sorted


class Best:
    """Asked again and again for the best of a set that only grows."""

    def __init__(self) -> None:
        self._numbers = self._ranks = np.zeros(0, dtype=np.intp)
        self._level = 0  # a rank of so much may be a higher one

    def of(self, numbers: Numbers, losses: pareto.Losses, count: int) -> Numbers:
        """The best `count` of the trials: those given before, and new ones.

        By fronts; of the one that is cut in two, those of the largest hypervolume together.
        """
        ranks = np.full(len(numbers), -1)
        ranks[np.searchsorted(numbers, self._numbers)] = self._ranks
        new = np.flatnonzero(ranks < 0)
        if len(new) <= _MANY:
            for row in new:
                _add(row, losses, ranks, self._level)
        if len(new) > _MANY or _cut(ranks, count) >= self._level:
            ranks = pareto.ranks(losses, 2 * count)
            self._level = int(ranks.max(initial=0))
        self._numbers, self._ranks = numbers, ranks
        if count in (0, len(numbers)):
            return numbers[:count]
        return numbers[_chosen(losses, ranks, count)]


def _add(row: np.intp, losses: pareto.Losses, ranks: pareto.Indices, level: int) -> None:
    """Gives one more row its rank, and those that it pushes down theirs; -1 has none yet."""
    dominate = np.all(losses <= losses[row], axis=1) & np.any(losses < losses[row], axis=1)
    rank, moved = int(ranks[dominate].max(initial=-1)) + 1, np.array([row])
    while len(moved) and rank < level:
        there = np.flatnonzero(ranks == rank)
        ranks[moved] = rank
        no_better = np.all(losses[there, None] >= losses[moved], axis=2)
        worse = np.any(losses[there, None] > losses[moved], axis=2)
        rank, moved = rank + 1, there[np.any(no_better & worse, axis=1)]
    ranks[moved] = level


def _cut(ranks: pareto.Indices, count: int) -> int:
    """The first rank that is not wholly among the best `count`."""
    return int(np.searchsorted(np.bincount(ranks).cumsum(), count, side="right"))


def _chosen(losses: pareto.Losses, ranks: pareto.Indices, count: int) -> NDArray[np.bool_]:
    """Which rows are the best `count`, as Optuna's `_split_complete_trials_multi_objective`."""
    last = _cut(ranks, count)
    best = ranks < last
    if missing := count - int(best.sum()):
        rows = np.flatnonzero(ranks == last)
        cut = losses[rows]
        reference = tuple(optuna_tpe._get_reference_point(cut))
        chosen = optuna_tpe._solve_hssp_with_cache(
            tuple(cut.ravel()), tuple(rows), missing, reference
        )
        best[chosen] = True
    return best
