"""Intervals for rates: what n rows can and cannot tell.

Wilson's score interval (Wilson 1927), for a rate of k successes in n and the normal quantile z:

    centre = (k + z²/2) / (n + z²)
    half   = z / (n + z²) · √(k (n - k) / n + z²/4)

Unlike p ± z √(p(1-p)/n) it keeps its coverage near 0 and 1, where attacked models live.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from tune_distill.errors import DataError
from tune_distill.outcome import Interval


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of `successes` in `n`, within [0, 1].

    Raises:
        DataError: no rows, a count outside [0, n] or a confidence outside (0, 1).
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(f"a rate needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    if not 0.0 < confidence < 1.0:
        raise DataError(f"a confidence lies between 0 and 1, got {confidence}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    # At 0 and at n the bound is exact; the subtraction would leave a rounding error beside it.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(low=low, high=high)
