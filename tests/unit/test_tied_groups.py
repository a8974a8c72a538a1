"""Members of a front that its rows cannot tell apart."""

from __future__ import annotations

from tune_distill.front import Front, tied_groups
from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.record import TrialRecord

ACCURACY = Objective("accuracy", "max", 0.5)
SIZE = Objective("size_mb", "min", 100.0)
ROBUST = Objective("robust_worst", "max", 0.0)


def student(accuracy, half=0.02, size_mb=20.0, robust=None):
    """A student with an interval of accuracy around its own, and one of robustness, 0.1 wide."""
    intervals = {} if half is None else {"accuracy": Interval(accuracy - half, accuracy + half)}
    if robust is not None:
        intervals["robust_worst"] = Interval(robust - 0.05, robust + 0.05)
    return Outcome(accuracy, size_mb, 5, 7.0, robust, intervals=intervals)


def test_members_are_tied_where_their_intervals_overlap_whatever_their_sizes():
    # 0.88 to 0.92, 0.85 to 0.89 and 0.68 to 0.72.
    members = {4: student(0.90), 7: student(0.87, size_mb=10.0), 9: student(0.70, size_mb=1.0)}
    assert tied_groups(members, [ACCURACY, SIZE]) == [[4, 7], [9]]


def test_one_objective_whose_intervals_are_apart_separates():
    members = {0: student(0.90, robust=0.5), 1: student(0.90, robust=0.7)}  # to 0.55, from 0.65
    assert tied_groups(members, [ACCURACY, SIZE]) == [[0, 1]]
    assert tied_groups(members, [ACCURACY, SIZE, ROBUST]) == [[1], [0]]


def test_a_chain_is_cut_so_that_no_group_holds_a_pair_that_differs():
    # Each 0.04 wide and 0.03 from the next: neighbours overlap, the ends don't.
    members = {n: student(0.90 - 0.03 * n, size_mb=90.0 - n) for n in range(4)}
    assert tied_groups(members, [ACCURACY, SIZE]) == [[0, 1], [2, 3]]
    assert tied_groups(members, [ACCURACY, SIZE], around=1) == [[0, 1], [2, 3]]


def test_a_group_gathers_around_the_knee_and_takes_the_nearest_first():
    # 1 overlaps both others, which don't overlap: 0.020 to 0, 0.035 to 2.
    members = {0: student(0.92), 1: student(0.90, size_mb=10.0), 2: student(0.865, size_mb=1.0)}
    assert tied_groups(members, [ACCURACY, SIZE], around=1) == [[0, 1], [2]]
    assert tied_groups(members, [ACCURACY, SIZE], around=2) == [[1, 2], [0]]


def test_intervals_that_touch_overlap():
    # 0.5 to 0.75 and 0.75 to 1.0: exact in binary.
    members = {0: student(0.875, 0.125), 1: student(0.625, 0.125)}
    assert tied_groups(members, [ACCURACY]) == [[0, 1]]


def test_without_any_interval_nothing_is_tied():
    members = {0: student(0.9, None), 1: student(0.9, None, size_mb=10.0)}
    assert tied_groups(members, [ACCURACY, SIZE]) == [[1], [0]]  # the smaller is the better
    assert tied_groups(members, [ACCURACY, SIZE], around=0) == [[0], [1]]


def test_who_has_no_interval_where_others_do_stands_for_its_value_alone():
    members = {0: student(0.90), 1: student(0.89, None), 2: student(0.85, None)}
    assert tied_groups(members, [ACCURACY]) == [[0, 1], [2]]


def test_two_equal_values_without_a_width_are_tied():
    members = {0: student(0.9, 0.0), 1: student(0.9, 0.0, size_mb=10.0), 2: student(0.8, 0.0)}
    assert tied_groups(members, [ACCURACY, SIZE]) == [[0, 1], [2]]


def test_no_members_are_in_no_groups():
    assert tied_groups({}, [ACCURACY, SIZE]) == []


def test_the_groups_of_a_front_are_of_its_members_and_begin_with_the_knees():
    outcomes = {2: (0.9, 90.0), 3: (0.89, 40.0), 5: (0.6, 10.0), 6: (0.59, 60.0), 8: (0.58, 9.0)}
    records = [
        TrialRecord(number, "complete", {}, student(accuracy, size_mb=size_mb))
        for number, (accuracy, size_mb) in outcomes.items()
    ]
    front = Front(records, [ACCURACY, SIZE])
    assert front.members == (2, 3, 5, 8)  # 6 is larger than 5, and worse
    assert front.knee == 3
    assert front.groups == [[2, 3], [5, 8]]
