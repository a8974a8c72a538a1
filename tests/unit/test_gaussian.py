"""Gaussian processes: as scikit-learn's with the same scales, and scales that tell what matters."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from tune_distill.searcher.gaussian import JITTER, Process


def some(points: int, nominal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points whose last coordinate has three unordered values, their values, their spreads."""
    rng = np.random.default_rng(0)
    at = rng.random((points, 3))
    if nominal:
        at[:, 2] = rng.integers(0, 3, points)
    values = 3.0 + np.sin(3 * at[:, 0]) + 0.5 * (at[:, 2] == 1) + rng.normal(0, 0.05, points)
    return at, values, np.where(np.arange(points) % 4, 0.0, 0.3)


@pytest.mark.parametrize("nominal", [False, True])
def test_predictions_are_those_of_scikit_learn_with_the_same_scales(nominal):
    at, values, spread = some(20, nominal)
    ours = Process.fit(at, values, spread, np.array([False, False, nominal]))
    lengths = np.exp(ours.scales[:-2].numpy())
    signal, noise = np.exp(ours.scales[-2:].numpy())
    mean, sd = values.mean(), values.std()

    def encoded(points: np.ndarray) -> np.ndarray:
        """Unordered values as corners of a simplex whose edges are 1 long."""
        if not nominal:
            return points
        return np.hstack([points[:, :2], np.eye(3)[points[:, 2].astype(int)] / np.sqrt(2)])

    scales = lengths if not nominal else [*lengths[:2], *[lengths[2]] * 3]
    theirs = GaussianProcessRegressor(
        ConstantKernel(signal) * Matern(scales, nu=2.5),
        alpha=noise + JITTER + (spread / sd) ** 2,
        optimizer=None,
    ).fit(encoded(at), (values - mean) / sd)
    there, *_ = some(50, nominal)
    expected, deviation = theirs.predict(encoded(there), return_std=True)
    found = ours.predict(there)
    np.testing.assert_allclose(found[0], mean + sd * expected, rtol=1e-6)
    np.testing.assert_allclose(found[1], sd * deviation, rtol=1e-4)


def test_a_coordinate_that_matters_has_a_shorter_scale_than_one_that_does_not():
    at, values, spread = some(60, nominal=True)
    first, second, third, *_ = Process.fit(at, values, spread, np.array([0, 0, 1]) > 0).scales
    assert first < second  # the sine's; nothing depends on the second
    assert third < second


def test_what_is_uncertain_counts_for_less():
    at = np.array([[0.5], [0.5]])
    for spread in (0.0, 1.0):
        model = Process.fit(at, np.array([0.0, 1.0]), np.array([0.0, spread]), np.array([False]))
        (mean,), _ = model.predict(np.array([[0.5]]))
        # alike, they are averaged; the second spreads a noise of 1, twice the values' own deviation
        assert mean == pytest.approx(0.5) if not spread else 0.0 < mean < 0.3


def test_other_values_keep_the_scales():
    at, values, spread = some(20, nominal=False)
    model = Process.fit(at, values, spread, np.zeros(3, dtype=bool))
    again = model.given(at, values, spread)
    np.testing.assert_array_equal(model.predict(at)[0], again.predict(at)[0])
    more = model.given(np.vstack([at, at[:1]]), np.append(values, values[0]), np.append(spread, 0))
    assert more.predict(at[:1])[1] < model.predict(at[:1])[1]


def test_equal_values_are_no_division_by_zero():
    at, *_ = some(5, nominal=False)
    model = Process.fit(at, np.full(5, 0.7), np.zeros(5), np.zeros(3, dtype=bool))
    np.testing.assert_allclose(model.predict(at)[0], 0.7)
