"""Wilson's interval against scipy's, and where it must be exact."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from tune_distill.errors import DataError
from tune_distill.statistics import wilson


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(1, 3), (20, 400), (200, 400), (399, 400), (9, 872)])
def test_the_interval_is_scipys(successes, n, confidence):
    oracle = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    interval = wilson(successes, n, confidence)
    assert interval.low == pytest.approx(oracle.low, abs=1e-12)
    assert interval.high == pytest.approx(oracle.high, abs=1e-12)


def test_no_success_in_ten_still_allows_for_28_percent():
    # z = 1.959964, z^2 = 3.841459; high = z^2 / (n + z^2) = 3.841459 / 13.841459
    interval = wilson(0, 10)
    assert interval.low == 0.0
    assert interval.high == pytest.approx(0.277533, abs=1e-6)


def test_all_successes_mirror_none():
    none, all_ = wilson(0, 10), wilson(10, 10)
    assert all_.high == 1.0
    assert all_.low == pytest.approx(1 - none.high, abs=1e-15)


@pytest.mark.parametrize(
    ("successes", "n", "confidence"),
    [(0, 0, 0.95), (-1, 5, 0.95), (6, 5, 0.95), (1, 5, 0.0), (1, 5, 1.0)],
)
def test_what_is_no_rate_is_refused(successes, n, confidence):
    with pytest.raises(DataError):
        wilson(successes, n, confidence)
