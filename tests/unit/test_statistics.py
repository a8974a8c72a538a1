"""Wilson's interval, McNemar's test, the bootstrap and Holm's adjustment, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from tune_distill.errors import DataError
from tune_distill.statistics import holm, mcnemar, paired_difference, wilson


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


def rows(both, first, second, neither):
    """Two models' rows: right in both, in the first alone, in the second alone, in neither."""
    counts = [both, first, second, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False] * 2, counts)


@pytest.mark.parametrize(
    ("first", "second"), [(1, 0), (5, 5), (12, 3), (3, 12), (40, 61), (900, 1000), (0, 1500)]
)
def test_mcnemar_is_scipys_binomial_test_of_the_rows_that_differ(first, second):
    oracle = binomtest(first, first + second, 0.5).pvalue
    assert mcnemar(*rows(100, first, second, 50)) == pytest.approx(oracle, rel=1e-9)


def test_models_that_differ_nowhere_are_equal():
    assert mcnemar(*rows(10, 0, 0, 10)) == 1.0


def test_nine_rows_one_way_and_one_the_other_are_hardly_luck():
    # 2 (C(10, 0) + C(10, 1)) / 2^10 = 22 / 1024
    assert mcnemar(*rows(30, 9, 1, 0)) == pytest.approx(22 / 1024)


def test_the_paired_interval_is_scipys_bootstrap():
    first, second = rows(150, 60, 30, 160)
    oracle = bootstrap(
        (first.astype(float), second.astype(float)),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = paired_difference(first, second)
    # Both are drawn 10,000 times: of 400 rows' mean, in steps of 1/400.
    assert found.low == pytest.approx(oracle.low, abs=0.006)
    assert found.high == pytest.approx(oracle.high, abs=0.006)
    assert found == paired_difference(first, second)
    # sd of a difference: sqrt(((60 + 30)/400 - 0.075^2) / 400) = 0.023419; 1.96 of them about 0.075
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.023419, abs=0.01)


def test_a_paired_interval_of_equal_rows_is_a_point():
    first, _ = rows(10, 10, 0, 0)
    assert paired_difference(first, first).low == paired_difference(first, first).high == 0.0


def test_holm_by_hand():
    # 4 x 0.01; 3 x 0.02; then 2 x 0.03 = 0.06, and 0.04 no lower than that before it.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_rows_that_cannot_be_paired_are_refused(shapes):
    first, second = (np.zeros(shape, bool) for shape in shapes)
    with pytest.raises(DataError, match="same rows"):
        mcnemar(first, second)
    with pytest.raises(DataError, match="same rows"):
        paired_difference(first, second)
