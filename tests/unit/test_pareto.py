"""The front, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tune_distill import pareto

#   (error, size): 0, 2 and 4 are the front; 1 is beaten by 0 alone, 3 by 2 and 4.
TABLE = np.array([[0.1, 90.0], [0.12, 95.0], [0.2, 40.0], [0.5, 45.0], [0.4, 10.0]])
CORNER = np.array([0.5, 100.0])


def test_the_front_is_what_nothing_dominates():
    assert pareto.front(TABLE).tolist() == [True, False, True, False, True]


def test_equal_points_stay_on_the_front_together():
    assert pareto.front(np.array([[1.0, 2.0], [1.0, 2.0], [3.0, 3.0]])).tolist() == [
        True,
        True,
        False,
    ]


def test_a_point_that_ties_in_one_objective_and_loses_the_other_is_dominated():
    assert pareto.front(np.array([[1.0, 2.0], [1.0, 3.0]])).tolist() == [True, False]


def test_no_points_have_an_empty_front_and_no_volume():
    empty = np.zeros((0, 2))
    assert pareto.front(empty).tolist() == []
    assert pareto.ranks(empty).tolist() == []
    assert pareto.dominators(empty) == []
    assert pareto.hypervolume(empty, CORNER) == 0.0
    assert pareto.hypervolume_curve(empty, CORNER).tolist() == []


def test_ranks_peel_one_front_after_another():
    # Without 0, 2, 4 nothing beats 1 (90 < 95 is gone) nor 3.
    assert pareto.ranks(TABLE).tolist() == [0, 1, 0, 1, 0]
    chain = np.array([[3.0, 3.0], [1.0, 1.0], [2.0, 2.0], [2.0, 2.0]])
    assert pareto.ranks(chain).tolist() == [2, 0, 1, 1]


def test_one_objective_ranks_by_value():
    assert pareto.ranks(np.array([[2.0], [1.0], [2.0], [5.0]])).tolist() == [1, 0, 1, 2]


def test_dominators_are_the_front_members_that_beat_a_point():
    assert [d.tolist() for d in pareto.dominators(TABLE)] == [[], [0], [], [2, 4], []]


def test_hypervolume_is_the_area_under_the_steps():
    # Columns of the staircase below (0.5, 100), from 0.1 to 0.2, 0.2 to 0.4, 0.4 to 0.5:
    # 0.1 * (100-90) + 0.2 * (100-40) + 0.1 * (100-10) = 1 + 12 + 9
    assert pareto.hypervolume(TABLE, CORNER) == pytest.approx(22.0)


def test_the_curve_adds_what_each_trial_brings():
    # 0: 0.4*10 = 4. 1: dominated. 2: 0.1*10 + 0.3*60 = 19. 3: on the corner's edge. 4: 22 as above.
    assert pareto.hypervolume_curve(TABLE, CORNER) == pytest.approx([4.0, 4.0, 19.0, 19.0, 22.0])


def test_a_point_beyond_the_reference_adds_nothing():
    assert pareto.hypervolume(np.array([[0.1, 101.0]]), CORNER) == 0.0
    assert pareto.hypervolume(np.array([[0.1, 101.0], [0.3, 50.0]]), CORNER) == pytest.approx(10.0)


def test_the_knee_of_one_member_is_that_member():
    assert pareto.knee(np.array([[2.0, 2.0], [1.0, 1.0]])) == 1


def test_of_two_members_the_knee_is_the_better_in_the_first_objective():
    # Scaled they are (1, 0) and (0, 1): equally far, whichever comes first.
    assert pareto.knee(np.array([[0.3, 10.0], [0.1, 90.0]])) == 1
    assert pareto.knee(np.array([[0.1, 90.0], [0.3, 10.0]])) == 0


def test_the_knee_is_the_member_nearest_the_ideal():
    # Scaled by ideal (0.1, 10) and nadir (0.4, 90): (0, 1), (1/3, 3/8), (1, 0);
    # squared distances 1, 0.25, 1.
    assert pareto.knee(TABLE) == 2


def test_three_objectives_have_a_knee_too():
    # Extremes are at squared distance 1 or 2; the middle one at 3 * 0.25.
    extremes = [[0.0, 4.0, 4.0], [4.0, 0.0, 4.0], [4.0, 4.0, 0.0]]
    assert pareto.knee(np.array([*extremes, [2.0, 2.0, 2.0]])) == 3


def test_an_objective_in_which_the_front_has_no_width_does_not_count():
    flat = np.array([[0.1, 5.0, 90.0], [0.2, 5.0, 40.0], [0.4, 5.0, 10.0]])
    assert pareto.knee(flat) == 1
    assert pareto.knee(np.array([[1.0, 1.0], [1.0, 1.0]])) == 0


def test_members_of_no_interest_neither_win_nor_scale_the_knee():
    # A useless 1 kB student stretches the error axis to [0.1, 0.9], where 0.4 looks near the best:
    # squared distances 1, 0.0156 + 0.1975, 0.1406 + 0.0122 -> the third.
    table = np.array([[0.1, 90.0], [0.2, 40.0], [0.4, 10.0], [0.9, 0.001]])
    assert pareto.knee(table) == 2
    assert pareto.knee(table, CORNER) == 1  # as without it, above


def test_where_all_members_are_beyond_the_reference_the_knee_is_still_one_of_them():
    assert pareto.knee(TABLE, np.array([0.0, 0.0])) == 2


def test_the_nearest_is_measured_over_each_objectives_range():
    # Ranges 0.4 and 85. Target (0.2, 45): row 2 is off by (0, 5/85), row 3 by (0.3/0.4, 0).
    assert pareto.nearest(TABLE, np.array([0.2, 45.0])) == 2
    assert pareto.nearest(TABLE, np.array([0.5, 45.0])) == 3


@pytest.mark.parametrize("bad", [np.array([[np.nan, 1.0]]), np.array([[1.0, np.inf]])])
def test_what_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        pareto.front(bad)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="points, objectives"):
        pareto.front(np.zeros(3))
    with pytest.raises(ValueError, match="2 objectives"):
        pareto.hypervolume(TABLE, np.zeros(3))
    with pytest.raises(ValueError, match="no knee"):
        pareto.knee(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="none is nearest"):
        pareto.nearest(np.zeros((0, 2)), CORNER)
