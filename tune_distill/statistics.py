"""Intervals and tests for rates over rows: what n rows can and cannot tell.

Wilson's score interval (Wilson 1927), for a rate of k successes in n and the normal quantile z:

    centre = (k + z²/2) / (n + z²)
    half   = z / (n + z²) · √(k (n - k) / n + z²/4)

Unlike p ± z √(p(1-p)/n) it keeps its coverage near 0 and 1, where attacked models live.

Two models on the same rows are compared by the rows on which they differ, b one way and c the
other (McNemar 1947, exact): under equality b is Binomial(b + c, 1/2), and

    p = min(1, 2 P(X <= min(b, c)))

`paired_difference` resamples whole rows, so what both find hard stays hard for both. Several
comparisons at once, as along a front, go through Holm's step-down adjustment (1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.outcome import Interval


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of `successes` in `n`, within [0, 1].

    Raises:
        DataError: no rows, a count outside [0, n] or a confidence outside (0, 1).
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(f"a rate needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    _check_confidence(confidence)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    # At 0 and at n the bound is exact; the subtraction would leave a rounding error beside it.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(low=low, high=high)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The exact two-sided p-value that two models are right equally often, on the same rows.

    Args:
        first: (rows,) whether the one is right.
        second: (rows,) whether the other is.
    """
    _same_rows(first, second)
    only_first = int((first & ~second).sum())
    only_second = int((second & ~first).sum())
    n, least = only_first + only_second, min(only_first, only_second)
    # In logarithms: 2^-n is 0 in floats from 1,075 differing rows on.
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
        for k in range(least + 1)
    ]
    return min(1.0, 2.0 * math.fsum(map(math.exp, logs)))


def paired_difference(
    first: NDArray[np.generic],
    second: NDArray[np.generic],
    *,
    confidence: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap interval of mean(first) - mean(second) over the same rows.

    Args:
        first: (rows,) scores, or whether the one is right.
        second: (rows,) of the other.
        confidence: of the interval.
        samples: how many times the rows are drawn.
        seed: of the draws; the same for the same interval.
    """
    _same_rows(first, second)
    _check_confidence(confidence)
    values, counts = np.unique(
        first.astype(np.float64) - second.astype(np.float64), return_counts=True
    )
    # Rows of one value are alike: to draw rows is to draw how many there are of each value.
    drawn = np.random.default_rng(seed).multinomial(len(first), counts / len(first), samples)
    means = drawn @ values / len(first)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(low=float(low), high=float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in their order: reject those below the level.

    The smallest of m is multiplied by m, the next by m - 1 ...; none ends below a smaller one.
    """
    ranked = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, least = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(ranked):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = least
    return adjusted


def _same_rows(first: NDArray[np.generic], second: NDArray[np.generic]) -> None:
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise DataError(
            f"two models are compared on the same rows, got {first.shape} and {second.shape}"
        )


def _check_confidence(confidence: float) -> None:
    if not 0.0 < confidence < 1.0:
        raise DataError(f"a confidence lies between 0 and 1, got {confidence}")
