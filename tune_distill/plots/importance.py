"""How much each knob alone tells of an objective, by ranks.

The values of a knob split the trials into k groups: one for each value of a choice, or thirds of a
number. Kruskal and Wallis (1952), on the ranks of the objective in n trials, corrected for ties:

    H = (12 / (n (n + 1)) · Σ R_g² / n_g - 3 (n + 1)) / (1 - Σ (t³ - t) / (n³ - n))

and its effect size (Tomczak and Tomczak 2014), the share of the ranks' variance that the groups
explain, without what chance alone would explain:

    effect = max(0, (H - k + 1) / (n - k))

A knob of one branch is held against the trials that have it, so n differs from knob to knob, and
two knobs that always go together both get the share. A sampler goes where it is good: these are
associations among the trials that it drew, not effects. Optuna's importances sum to 1 whether or
not anything matters; these are all near 0 then. `clear` says that H is over the 95 % quantile of
chi² with k - 1 degrees of freedom (by Wilson and Hilferty, 1931), for one knob at a time.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_distill.front import Front
from tune_distill.space import Scalar

LEAST = 8  # trials
_FEW = 6  # values of a number that are groups of their own
_SEEDS = "train.seed"  # another one for each trial, and no knob


def importances(front: Front) -> dict[str, dict[str, dict[str, Any]]]:
    """{objective: {knob: {effect, trials, clear}}}, the largest effect first.

    Of the knobs that vary among at least 8 complete trials.
    """
    complete = front.complete
    knobs = dict.fromkeys(name for record, _ in complete for name in record.params)
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for objective in front.objectives:
        values = np.array([outcome.measures()[objective.name] for _, outcome in complete])
        effects = {}
        for knob in knobs:
            drawn = [record.params.get(knob) for record, _ in complete]
            has = [i for i, value in enumerate(drawn) if value is not None]
            groups = _groups([drawn[i] for i in has])
            k = len(set(groups))
            if knob != _SEEDS and k > 1 and len(has) >= max(LEAST, k + 1):
                effects[knob] = _effect(values[has], groups)
        order = sorted(effects, key=lambda knob: (-effects[knob]["effect"], knob))
        found[objective.name] = {knob: effects[knob] for knob in order}
    return found


def kruskal_wallis(values: NDArray[np.float64], groups: Sequence[Hashable]) -> float:
    """H of values in groups; 0 where all values are equal."""
    n = len(values)
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal values share their mean rank
    sums: dict[Hashable, list[float]] = {}
    for group, rank in zip(groups, ranks.tolist(), strict=True):
        sums.setdefault(group, []).append(rank)
    between = sum(sum(own) ** 2 / len(own) for own in sums.values())
    ties = 1.0 - float((counts**3 - counts).sum()) / (n**3 - n)
    return (12.0 / (n * (n + 1)) * between - 3 * (n + 1)) / ties if ties else 0.0


def _effect(values: NDArray[np.float64], groups: Sequence[Hashable]) -> dict[str, Any]:
    h, n, k = kruskal_wallis(values, groups), len(values), len(set(groups))
    effect = min(1.0, max(0.0, (h - k + 1) / (n - k)))
    return {"effect": effect, "trials": n, "clear": bool(h > chi2_95(k - 1))}


def chi2_95(freedom: int) -> float:
    """The 95 % quantile of chi²."""
    if freedom == 1:  # a normal's square; the approximation is worst there
        return NormalDist().inv_cdf(0.975) ** 2
    spread = 2 / (9 * freedom)
    z = NormalDist().inv_cdf(0.95)
    return freedom * (1 - spread + z * math.sqrt(spread)) ** 3


def _groups(drawn: Sequence[Scalar]) -> list[Hashable]:
    """The group of each value: itself, or the third of the values that it lies in."""
    numbers = [v for v in drawn if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(drawn) or len(set(numbers)) <= _FEW:
        return list(drawn)
    thirds = np.quantile(np.array(numbers, dtype=np.float64), [1 / 3, 2 / 3])
    return list(np.searchsorted(thirds, numbers).tolist())
