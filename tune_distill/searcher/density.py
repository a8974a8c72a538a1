"""The density of a Parzen estimator of thousands of kernels, at a few values.

Optuna's `log_pdf` fills a table of (values, kernels) with logarithms and goes through it some
twenty times. Here equal terms are summed first, and no logarithm is taken of what is summed: every
estimator has a kernel as wide as the range, so that the sum can't vanish. The result is Optuna's up
to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe import probability_distributions as optuna_distributions
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator

Floats = NDArray[np.float64]

FEW = 100  # kernels, below which Optuna's own is as fast; and two choices may be equally dense
WHOLE = 9.0  # standard deviations to both ends, within which lies 1 in double precision


def log_density(estimator: _ParzenEstimator, samples: Mapping[str, Floats]) -> Floats:
    """As `estimator.log_pdf(samples)`, of an estimator of one parameter: (values,)."""
    weights = estimator._mixture_distribution.weights
    if len(weights) < FEW:
        return np.asarray(estimator.log_pdf(dict(samples)))
    of: Any
    (of,), (values,) = estimator._mixture_distribution.distributions, samples.values()
    if isinstance(of, optuna_distributions._BatchedCategoricalDistributions):
        found = (weights @ of.weights)[values.astype(np.int64)]
    elif of.step:
        found = _discrete(of, weights, values)
    else:
        found = _continuous(of, weights, values)
    return np.asarray(np.log(found))


def _continuous(of: Any, weights: Floats, values: Floats) -> Floats:  # noqa: ANN401 - Optuna's
    values = np.log(values) if of.is_log else values
    scale = weights / (of.sigma * np.sqrt(2 * np.pi)) / _mass(of, of.mu, of.sigma)
    table = values[:, None] - of.mu
    table /= of.sigma
    np.square(table, out=table)
    table *= -0.5
    np.exp(table, out=table)
    return np.asarray(table @ scale)


def _discrete(of: Any, weights: Floats, values: Floats) -> Floats:  # noqa: ANN401 - Optuna's
    mu, sigma, kernel = optuna_distributions._unique_inverse_2d(of.mu, of.sigma)
    scale = np.bincount(kernel, weights) / _mass(of, mu, sigma)
    unlike, which = np.unique(values, return_inverse=True)
    ends = unlike[:, None] + np.array([-0.5, 0.5]) * of.step
    ends = np.log(ends) if of.is_log else ends
    low, high = ((end[:, None] - mu) / sigma for end in ends.T)
    return np.asarray((np.exp(_truncnorm._log_gauss_mass(low, high)) @ scale)[which])


def _mass(of: Any, mu: Floats, sigma: Floats) -> Floats:  # noqa: ANN401 - Optuna's
    """Of each normal distribution, the part that lies within the range."""
    low, high = (of.adapted_low - mu) / sigma, (of.adapted_high - mu) / sigma
    cut = (low > -WHOLE) | (high < WHOLE)
    mass = np.ones(len(mu))
    mass[cut] = np.exp(_truncnorm._log_gauss_mass(low[cut], high[cut]))
    return mass
