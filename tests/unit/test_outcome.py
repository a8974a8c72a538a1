"""Outcomes, and the one place where directions become losses."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tune_distill.outcome import Interval, Objective, Outcome, losses, reference_losses

A = Outcome(0.9, 10.0, 2_500_000, 1e8, robust_worst=0.4, intervals={"accuracy": Interval(0.8, 1.0)})
B = Outcome(0.8, 5.0, 1_250_000, 5e7)
ACCURACY, SIZE = Objective("accuracy", "max", 0.5), Objective("size_mb", "min", 20.0)


def test_what_should_grow_is_negated_once_and_so_is_its_reference():
    np.testing.assert_array_equal(losses([A, B], [ACCURACY, SIZE]), [[-0.9, 10.0], [-0.8, 5.0]])
    np.testing.assert_array_equal(reference_losses([ACCURACY, SIZE]), [-0.5, 20.0])


def test_no_outcomes_make_an_empty_table_of_the_right_width():
    assert losses([], [ACCURACY, SIZE]).shape == (0, 2)


def test_an_outcome_without_an_objective_is_refused_by_name():
    with pytest.raises(ValueError, match="robust_worst"):
        losses([A, B], [Objective("robust_worst", "max", 0.0)])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nothing_infinite_is_an_outcome(bad):
    with pytest.raises(ValueError, match="robust_worst"):
        Outcome(0.9, 10.0, 1, 1.0, robust_worst=bad)


def test_each_attack_is_a_measure_and_so_is_what_was_kept_of_the_rows_that_were_right():
    attacked = replace(A, clean_on_attacked=0.8, rates={"char": 0.5, "table": 0.45})
    measures = attacked.measures()
    assert measures["robust_char"] == 0.5
    assert measures["robust_table"] == 0.45
    assert measures["robust_kept"] == pytest.approx(0.5)  # 0.4 of 0.8
    assert "robust_kept" not in A.measures()


def test_a_rate_that_is_not_finite_is_no_outcome():
    with pytest.raises(ValueError, match="robust_char"):
        replace(A, rates={"char": math.nan})


def test_an_outcome_survives_json():
    assert Outcome.from_json(A.to_json()) == A
    assert Outcome.from_json(B.to_json()) == B


def test_an_outcome_that_was_filed_before_attacks_had_rates_is_read():
    filed = A.to_json()
    del filed["rates"]
    assert Outcome.from_json(filed) == A
