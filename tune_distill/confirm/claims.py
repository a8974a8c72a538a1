"""What can be said of two models on the same rows: BETTER, WORSE or INCONCLUSIVE.

A claim is about recipes: the mean over seeds of the one less that of the other, both over the same
held-out rows. Its interval and its p-value are of the paired draws of `samples`; a verdict is
given where Holm's adjusted p-value over all claims of a confirmation is below 0.05. Beside it,
where both are one student that could be shipped, stands McNemar's exact test of these two alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tune_distill.confirm.samples import Reals
from tune_distill.outcome import Interval
from tune_distill.statistics import holm

Verdict = Literal["BETTER", "WORSE", "INCONCLUSIVE"]
LEVEL = 0.05
ROUNDING = 1e-9  # a smaller difference is the sums', not the models'


@dataclass(frozen=True)
class Claim:
    """One comparison: `first` against `second` in a measure where more is better."""

    measure: str
    first: str
    second: str
    difference: float  # of the means over seeds
    interval: Interval  # 95 %
    p: float
    adjusted: float  # by Holm
    verdict: Verdict
    mcnemar: float | None = None  # of the students that the search has found


@dataclass(frozen=True, eq=False)
class Pair:
    """What a claim is made of: the drawn means of two models, and the means themselves."""

    measure: str
    first: str
    second: str
    difference: float
    draws: Reals  # (draws,) of the difference
    mcnemar: float | None = None


def claims(pairs: Sequence[Pair]) -> list[Claim]:
    """The verdicts over all pairs at once."""
    values = [p_value(pair.draws) for pair in pairs]
    return [
        Claim(
            pair.measure,
            pair.first,
            pair.second,
            pair.difference,
            interval(pair.draws),
            p,
            adjusted,
            _verdict(pair.difference, adjusted),
            pair.mcnemar,
        )
        for pair, p, adjusted in zip(pairs, values, holm(values), strict=True)
    ]


def p_value(draws: Reals) -> float:
    """Two-sided, of no difference: twice the share of draws on the rarer side of 0, ties half.

    One draw is added to both sides, so that no finite number of draws proves anything.
    """
    ties = np.abs(draws) < ROUNDING
    below = (draws[~ties] < 0).sum() + 0.5 * ties.sum()
    rarer = min(below, len(draws) - below)
    return float(min(1.0, 2 * (rarer + 1) / (len(draws) + 1)))


def interval(draws: Reals) -> Interval:
    """The percentile interval of drawn values, 95 %."""
    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(low), float(high))


def _verdict(difference: float, adjusted: float) -> Verdict:
    if adjusted >= LEVEL or abs(difference) < ROUNDING:
        return "INCONCLUSIVE"
    return "BETTER" if difference > 0 else "WORSE"
