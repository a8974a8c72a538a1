"""What TPE keeps from draw to draw, and its densities, beside Optuna's and a whole sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import _split_complete_trials_multi_objective, default_weights
from optuna.study import create_study
from optuna.trial import create_trial

from tune_distill.searcher.best import Best
from tune_distill.searcher.density import FEW, log_density


def optunas(losses: np.ndarray, count: int) -> list[int]:
    """Rows of the best `count`, as Optuna finds them among all."""
    study = create_study(directions=["minimize"] * losses.shape[1])
    trials = [create_trial(values=row) for row in losses.tolist()]
    for number, trial in enumerate(trials):
        trial.number = number
    below, _ = _split_complete_trials_multi_objective(trials, study, count)
    return [trial.number for trial in below]


# Small whole numbers: many ties, many equal trials, long chains of dominance.
points = st.lists(st.tuples(*[st.integers(0, 6)] * 2), min_size=2, max_size=40)


@given(points, st.data())
def test_the_best_of_a_growing_set_are_those_of_a_sort_of_all(rows, data):
    losses, best = np.array(rows, dtype=float), Best()
    # The order in which trials end is not that of their numbers.
    order = data.draw(st.permutations(range(len(rows))))
    batch = data.draw(st.integers(1, 5))
    for ended in range(batch, len(rows) + 1, batch):
        numbers = np.sort(np.array(order[:ended]))
        count = -(-len(numbers) // 3)
        expected = numbers[optunas(losses[numbers], count)]
        assert best.of(numbers, losses[numbers], count).tolist() == expected.tolist()


def test_hundreds_of_trials_at_once_are_sorted_as_one_by_one():
    losses = np.random.default_rng(0).integers(0, 30, (400, 2)).astype(float)
    at_once, one_by_one = Best(), Best()
    for count in range(1, 401):
        numbers = np.arange(count)
        found = one_by_one.of(numbers, losses[:count], -(-count // 10))
    assert at_once.of(np.arange(400), losses, 40).tolist() == found.tolist()


SPACES = {
    "choice": CategoricalDistribution(["a", "b", "c"]),
    "int": IntDistribution(1, 6),
    "log int": IntDistribution(1, 300, log=True),
    "stepped float": FloatDistribution(0.0, 1.0, step=0.25),
    "float": FloatDistribution(0.2, 1.0),
    "log float": FloatDistribution(1e-5, 1e-2, log=True),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("observed", [FEW, 1000])
def test_densities_are_optunas(name, observed):
    space, rng = SPACES[name], np.random.default_rng(1)
    settings = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
    anywhere = _ParzenEstimator({"x": np.array([])}, {"x": space}, settings)
    drawn = anywhere.sample(np.random.RandomState(2), observed)["x"]
    drawn[: observed // 2] = drawn[0]  # crowded, as where a search has settled
    if isinstance(space, FloatDistribution):
        drawn[:2] = space.low, space.high
    estimator = _ParzenEstimator({"x": drawn}, {"x": space}, settings)
    asked = {"x": rng.choice(drawn, 24)}
    # Logarithms of sums of a thousand doubles, in another order.
    np.testing.assert_allclose(
        log_density(estimator, asked), estimator.log_pdf(asked), rtol=0, atol=1e-12
    )
