"""Laws of the front, with Optuna's own code as an independent oracle."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _fast_non_domination_rank, _is_pareto_front

from tune_distill import pareto

few = settings(max_examples=150, deadline=None)


@st.composite
def tables(draw, least=0):
    """Small integers make ties and duplicates; the floats between them make everything else."""
    shape = (draw(st.integers(least, 12)), draw(st.integers(1, 4)))
    value = draw(st.sampled_from([st.integers(0, 4).map(float), st.floats(-1e3, 1e3, width=32)]))
    return draw(arrays(np.float64, shape, elements=value))


@few
@given(tables(least=1))
def test_the_front_is_optunas(table):
    assert pareto.front(table).tolist() == _is_pareto_front(table, False).tolist()


@few
@given(tables(least=1))
def test_the_ranks_are_optunas(table):
    assert pareto.ranks(table).tolist() == _fast_non_domination_rank(table).tolist()


@few
@given(tables(least=1))
def test_the_hypervolume_is_optunas(table):
    reference = table.max(axis=0) + 1.0  # Optuna wants every point inside
    expected = compute_hypervolume(table, reference)
    assert np.isclose(pareto.hypervolume(table, reference), expected, rtol=1e-9, atol=1e-9)


@few
@given(tables(least=1), st.data())
def test_the_curve_is_the_hypervolume_of_each_prefix_and_never_falls(table, data):
    row = data.draw(st.integers(0, len(table) - 1))
    reference = table[row] + 1.0  # some points beyond it
    curve = pareto.hypervolume_curve(table, reference)
    whole = [pareto.hypervolume(table[: i + 1], reference) for i in range(len(table))]
    assert np.allclose(curve, whole, rtol=1e-9, atol=1e-9)
    assert (np.diff(curve) >= 0).all()


@few
@given(tables(least=1))
def test_only_what_is_off_the_front_has_dominators_and_they_beat_it(table):
    on = pareto.front(table)
    for point, member, beaten_by in zip(table, on, pareto.dominators(table), strict=True):
        assert member == (len(beaten_by) == 0)
        assert on[beaten_by].all()
        for better in table[beaten_by]:
            assert (better <= point).all()
            assert (better < point).any()


@few
@given(tables(least=1), st.randoms(use_true_random=False))
def test_order_does_not_matter(table, rng):
    order = list(range(len(table)))
    rng.shuffle(order)
    shuffled = table[order]
    assert pareto.front(shuffled).tolist() == pareto.front(table)[order].tolist()
    assert shuffled[pareto.knee(shuffled)].tolist() == table[pareto.knee(table)].tolist()


@few
@given(tables(least=1))
def test_the_front_survives_a_monotone_rescaling(table):
    assert pareto.front(np.arctan(table / 1e3)).tolist() == pareto.front(table).tolist()


@few
@given(tables(least=1))
def test_a_dominated_point_changes_nothing(table):
    worse = table.max(axis=0) + 1.0
    reference = worse + 1.0
    more = np.vstack([table, worse])
    assert pareto.front(more).tolist() == [*pareto.front(table).tolist(), False]
    assert pareto.knee(more) == pareto.knee(table)
    # The box of `worse` lies inside those of the others.
    assert np.isclose(pareto.hypervolume(more, reference), pareto.hypervolume(table, reference))


@few
@given(tables(least=1))
def test_the_knee_is_on_the_front_and_the_nearest_to_a_point_is_that_point(table):
    assert pareto.front(table)[pareto.knee(table)]
    for point in table:
        assert np.allclose(table[pareto.nearest(table, point)], point, atol=1e-3)
