"""What a study's defences need made before its first trial."""

from __future__ import annotations

import re

import pytest

from tune_distill.hardening import HARDENINGS
from tune_distill.spec import TrialConfig
from tune_distill.spec.beforehand import augments, teachers, unprepared
from tune_distill.spec.space import RobustSpace


def space(**robust):
    return RobustSpace.model_validate(robust)


def test_each_setting_of_a_defence_that_a_teacher_may_have_is_a_teacher():
    found = teachers(
        space(
            none={},
            fgm={"stage": ["during", "teacher"], "epsilon": [0.1, 0.2], "share": [0.2, 0.4]},
            vat={"stage": "teacher"},
            freelb={"stage": ["during", "after"], "epsilon": {"log": [0.1, 0.2]}},
        )
    )
    fgm = HARDENINGS["fgm"]
    # When it would hold in a student says nothing of a teacher: `share` makes no further one.
    assert found == (fgm(epsilon=0.1), fgm(epsilon=0.2), HARDENINGS["vat"]())


def test_a_draw_finds_its_own_teacher_among_them():
    drawn = {"student.layers": 1, "student.hidden_size": 8, "student.heads": 2, "method": "kd"}
    drawn |= {"robust": "fgm", "robust.fgm.epsilon": 0.1, "robust.fgm.share": 0.4}
    config = TrialConfig.from_params(drawn | {"robust.fgm.stage": "teacher"})
    assert config.hardening is None
    assert config.robust.in_teacher() == HARDENINGS["fgm"](epsilon=0.1)
    assert config.robust.cost == 1
    assert config.robust.start(50) == 50
    assert config.robust.in_teacher().cost == 2
    plain = TrialConfig.from_params(drawn | {"robust.fgm.stage": "during"})
    assert plain.hardening is plain.robust


def test_sets_of_adversarial_rows_differ_by_what_they_are_made_of():
    found = augments(
        space(augment={"rows": [100, 200], "ratio": {"uniform": [0.1, 0.5]}, "recipe": "pruthi"})
    )
    assert [(one.rows, one.recipe) for one in found] == [(100, "pruthi"), (200, "pruthi")]
    assert augments(space(none={}, attack={})) == ()


@pytest.mark.parametrize(
    ("robust", "line"),
    [
        (
            {"fgm": {"stage": ["during", "teacher"], "epsilon": {"log": [0.02, 0.5]}}},
            r"robust\.fgm\.epsilon: a range, .* a teacher of its own is trained before the first "
            r"trial; one value works, or a short list, such as \[0\.02, 0\.5\]; or take teacher",
        ),
        (
            {"pgd": {"stage": "teacher", "steps": [1, 2, 3], "weight": [0.5, 1.0, 2.0]}},
            r"robust\.pgd: 9 combinations of .* at most 8 work",
        ),
        (
            {"augment": {"rows": {"int": [100, 1000]}}},
            r"robust\.augment: 901 combinations of recipe, queries, rows.* rows of train are att",
        ),
    ],
)
def test_more_than_can_be_prepared_is_refused_with_what_works(robust, line):
    (reason,) = unprepared(space(**robust))
    assert re.search(line, reason), reason


def test_what_trials_alone_draw_may_be_a_range():
    robust = space(
        fgm={"stage": ["during", "after"], "epsilon": {"log": [0.02, 0.5]}},
        vat={"stage": "teacher", "share": {"uniform": [0.1, 0.5]}},
        augment={"ratio": {"uniform": [0.1, 0.5]}},
        attack={"queries": {"int": [10, 100]}},
    )
    assert unprepared(robust) == []
