"""Metrics against scikit-learn and scipy, and their values where those have none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from tune_distill.tasks import floor, score
from tune_distill.tasks.metrics import METRICS


def made(classes, seed, rows=101):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes)) + 0.8 * np.eye(classes)[labels]
    return logits, labels


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        ("accuracy", sk.accuracy_score),
        ("mcc", sk.matthews_corrcoef),
        (
            "f1",
            lambda y, p: sk.f1_score(y, p, average="binary" if max(*y, *p) < 2 else "macro"),
        ),
    ],
)
def test_class_metrics_equal_scikit_learn(metric, oracle, classes):
    for seed in range(5):
        logits, labels = made(classes, seed)
        assert score(metric, logits, labels) == pytest.approx(oracle(labels, logits.argmax(1)))


@pytest.mark.parametrize(
    ("metric", "oracle"), [("pearson", stats.pearsonr), ("spearman", stats.spearmanr)]
)
@pytest.mark.parametrize("shape", [(60,), (60, 1)])
def test_correlations_equal_scipy_with_and_without_ties(metric, oracle, shape):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 6, 60) / 2  # many ties, as in STS-B's ratings
    for outputs in (rng.normal(size=60) + labels, np.round(labels + rng.normal(size=60))):
        got = score(metric, outputs.astype(np.float32).reshape(shape), labels.astype(np.float32))
        assert got == pytest.approx(oracle(outputs.astype(np.float32), labels).statistic)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        ("accuracy", sk.accuracy_score),
        ("f1_micro", lambda y, p: sk.f1_score(y, p, average="micro")),
        ("f1_macro", lambda y, p: sk.f1_score(y, p, average="macro", zero_division=np.nan)),
    ],
)
def test_metrics_of_several_labels_equal_scikit_learn(metric, oracle, classes):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = (rng.random((80, classes)) < np.linspace(0.1, 0.5, classes)).astype(np.float32)
        logits = (rng.normal(size=(80, classes)) + 2 * labels - 1).astype(np.float32)
        got = score(metric, logits, labels)
        assert got == pytest.approx(oracle(labels, (logits > 0).astype(int)))


def test_metrics_of_several_labels_on_three_rows_by_hand():
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    logits = np.array([[2.0, -1, -1], [3, -2, -1], [0.5, -1, -3]])
    # Predicted: the first label of each row. Hits 2, predicted 3, actual 3.
    assert score("f1_micro", logits, labels) == pytest.approx(2 * 2 / (3 + 3))
    # The first 2 * 2 / (3 + 2), the second 0; the third neither is there nor is predicted.
    assert score("f1_macro", logits, labels) == pytest.approx((4 / 5 + 0) / 2)
    assert score("accuracy", logits, labels) == pytest.approx(1 / 3)
    nothing = np.zeros((2, 3), np.float32)
    assert score("f1_micro", nothing - 1, nothing) == score("f1_macro", nothing - 1, nothing) == 0.0


@pytest.mark.parametrize("metric", METRICS["multi_label"])
def test_the_floor_of_several_labels_is_the_best_of_all_sets_of_them(metric):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        labels = (rng.random((12, 5)) < rng.random(5) * 0.8).astype(np.float32)
        constants = itertools.product([-1.0, 1.0], repeat=5)
        best = max(score(metric, np.tile(one, (12, 1)), labels) for one in constants)
        assert floor(metric, labels) == pytest.approx(best)


def test_macro_f1_counts_classes_that_occur_in_labels_or_predictions():
    # labels 0 0 2 2, predictions 0 1 2 2, four outputs: F1 = 2/3, 0, 1 and class 3 does not occur
    logits = np.eye(4)[[0, 1, 2, 2]]
    assert score("f1", logits, np.array([0, 0, 2, 2])) == pytest.approx((2 / 3 + 0 + 1) / 3)


@pytest.mark.parametrize("metric", ["mcc", "pearson", "spearman"])
def test_a_constant_prediction_scores_zero(metric):
    labels = np.array([0, 1, 1, 0])
    outputs = np.tile([0.1, 0.9], (4, 1)) if metric == "mcc" else np.full(4, 0.3)
    assert score(metric, outputs, labels) == 0.0


@pytest.mark.parametrize("metric", ["accuracy", "pearson"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_refused(metric, bad):
    outputs = np.ones((3, 2)) if metric == "accuracy" else np.ones((3, 1))
    outputs[1, 0] = bad
    with pytest.raises(FloatingPointError, match="1 of 3 rows"):
        score(metric, outputs, np.array([0, 1, 1]))


def test_perfect_and_reversed_correlations_are_one_and_minus_one_at_any_scale():
    labels = np.arange(5.0)
    for scale in (1e-200, 1.0, 1e200):
        assert score("pearson", scale * labels, labels) == pytest.approx(1.0)
        assert score("pearson", -scale * labels, labels) == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("metric", "labels", "expected"),
    [
        ("accuracy", [0, 0, 0, 1], 3 / 4),  # always 0
        ("accuracy", [2, 2, 1, 0, 2], 3 / 5),  # always 2
        ("f1", [0, 0, 0, 1], 2 / 5),  # always 1: precision 1/4, recall 1
        ("f1", [0, 1, 2, 2], 2 / 9),  # always 2: (0 + 0 + 2*(1/2)/(3/2)) / 3
        ("mcc", [0, 1, 1], 0.0),
        ("spearman", [0.5, 1.5, 4.0], 0.0),
    ],
)
def test_the_floor_is_the_best_constant_prediction(metric, labels, expected):
    assert floor(metric, np.array(labels)) == pytest.approx(expected)
