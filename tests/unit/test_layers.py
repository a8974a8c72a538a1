"""Layer maps: which block answers to which."""

from __future__ import annotations

import pytest

from tune_distill.layers import mapping, misfit


@pytest.mark.parametrize(
    ("which", "student", "teacher", "expected"),
    [
        ("uniform", 6, 12, (2, 4, 6, 8, 10, 12)),
        ("uniform", 4, 12, (3, 6, 9, 12)),
        # 12 / 5 = 2.4, 4.8, 7.2, 9.6, 12
        ("uniform", 5, 12, (2, 5, 7, 10, 12)),
        # 5 / 2 = 2.5: halves upwards
        ("uniform", 2, 5, (3, 5)),
        ("uniform", 3, 3, (1, 2, 3)),
        ("first", 3, 12, (1, 2, 3)),
        ("last", 3, 12, (10, 11, 12)),
        ("4,8,12", 3, 12, (4, 8, 12)),
    ],
)
def test_the_rules(which, student, teacher, expected):
    assert mapping(which, student, teacher) == expected


def test_a_map_that_leaves_out_the_last_block_is_the_beginning_of_the_whole_one():
    assert mapping("uniform", 6, 12, 5) == (2, 4, 6, 8, 10)
    assert mapping("last", 6, 12, 5) == (7, 8, 9, 10, 11)


@pytest.mark.parametrize("student", range(1, 13))
@pytest.mark.parametrize("which", ["uniform", "first", "last"])
def test_every_rule_takes_each_block_once_and_rising(student, which):
    found = mapping(which, student, 12)
    assert len(found) == student
    assert list(found) == sorted(set(found))
    assert set(found) <= set(range(1, 13))
    assert which == "first" or found[-1] == 12


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("2,4", "are 2, and 3 of the student's need one"),
        ("2,4,13", "not all within the teacher's 1 to 12"),
        ("0,4,12", "not all within the teacher's 1 to 12"),
        ("4,2,12", "don't rise"),
    ],
)
def test_explicit_layers_that_do_not_fit_are_refused(which, reason):
    assert reason in misfit(which, 3, 12)
    with pytest.raises(ValueError, match=reason):
        mapping(which, 3, 12)


def test_a_student_deeper_than_its_teacher_has_no_map():
    assert "13 layers can't be mapped to the teacher's 12" in misfit("uniform", 13, 12)
