"""How much each knob tells of an objective, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tune_distill.front import Front
from tune_distill.outcome import Objective, Outcome
from tune_distill.plots.importance import chi2_95, importances, kruskal_wallis
from tune_distill.record import TrialRecord

ACCURACY = Objective("accuracy", "max", 0.0)
SIZE = Objective("size_mb", "min", 100.0)


def front(rows):
    """A front of trials of (accuracy, params)."""
    records = [
        TrialRecord(number, "complete", params, Outcome(accuracy, 20.0, 5, 7.0))
        for number, (accuracy, params) in enumerate(rows)
    ]
    return Front(records, [ACCURACY, SIZE])


def test_h_is_scipys_ties_included():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 4, 60).tolist()
    values = np.round(rng.normal(size=60) + np.array(groups) / 3, 1)  # many are equal
    assert len(np.unique(values)) < 60
    expected = stats.kruskal(*(values[np.array(groups) == g] for g in range(4))).statistic
    assert kruskal_wallis(values, groups) == pytest.approx(expected)


def test_equal_values_tell_nothing():
    assert kruskal_wallis(np.ones(6), [0, 0, 0, 1, 1, 1]) == 0.0


@pytest.mark.parametrize("freedom", [1, 2, 5, 11])
def test_the_quantile_of_chi2_is_scipys_within_a_percent(freedom):
    assert chi2_95(freedom) == pytest.approx(stats.chi2.ppf(0.95, freedom), rel=0.01)


def test_a_knob_that_decides_explains_nearly_all_and_one_of_chance_nothing():
    # Ranks 1 to 5 with "a", 6 to 10 with "b": H = 12 / 110 (15² + 40²) / 5 - 33 = 6.818, and
    # (H - 1) / 8 = 0.727. Ranks with "x" are 1 3 5 7 9 = 25 of 30: H = 0.273, less than chance's 1.
    rows = [(i / 10, {"good": "ab"[i // 5], "noise": "xy"[i % 2]}) for i in range(10)]
    found = importances(front(rows))["accuracy"]
    assert list(found) == ["good", "noise"]
    assert found["good"] == {"effect": pytest.approx(0.7273, abs=1e-4), "trials": 10, "clear": True}
    assert found["noise"] == {"effect": 0.0, "trials": 10, "clear": False}
    assert importances(front(rows))["size_mb"]["good"]["effect"] == 0.0  # all are equally large


def test_a_knob_of_a_branch_is_held_against_the_trials_that_have_it():
    rows = [(i / 20, {"method": "kd", "method.kd.alpha": i / 10}) for i in range(12)]
    rows += [(0.9, {"method": "finetune"}), (0.1, {"method": "finetune"})]
    found = importances(front(rows))["accuracy"]
    assert found["method.kd.alpha"]["trials"] == 12
    assert found["method"]["trials"] == 14
    # Thirds of 4: H = 12 / 156 (10² + 26² + 42²) / 4 - 39 = 9.846; (H - 2) / 9.
    assert found["method.kd.alpha"]["effect"] == pytest.approx(0.8718, abs=1e-4)


def test_seeds_and_constants_are_no_knobs_and_few_trials_tell_nothing():
    rows = [(i / 10, {"train.seed": i, "same": 1, "layers": i % 3}) for i in range(8)]
    assert set(importances(front(rows))["accuracy"]) == {"layers"}
    assert importances(front(rows[:7])) == {"accuracy": {}, "size_mb": {}}
    assert importances(front([])) == {"accuracy": {}, "size_mb": {}}
