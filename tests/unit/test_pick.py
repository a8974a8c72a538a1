"""Choosing a student: rules, bounds, and the errors that say what would work."""

from __future__ import annotations

import pytest

from tune_distill.errors import NoFeasibleStudent, SpecError
from tune_distill.export.pick import asked, pick
from tune_distill.front import Front
from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound

AXES = (Objective("accuracy", "max", 0.5), Objective("size_mb", "min", 50.0))


def record(number, accuracy, size, state="complete"):
    outcome = Outcome(accuracy, size, int(size * 250_000), 1e8) if state == "complete" else None
    return TrialRecord(number=number, state=state, params={"method": "kd"}, outcome=outcome)


# Front: 0, 1, 2. Trial 3 is dominated by 1, trial 4 never finished.
# Scaled by ideal and nadir of the front (accuracy 0.9..0.6, size 10..40):
# 0 at (0, 1), 1 at (1/3, 1/3) -> distance 0.47, 2 at (1, 0): the knee is 1.
RECORDS = [
    record(0, 0.9, 40.0),
    record(1, 0.8, 20.0),
    record(2, 0.6, 10.0),
    record(3, 0.7, 30.0),
    record(4, 0.0, 0.0, state="failed"),
]


@pytest.mark.parametrize(
    ("rule", "number"),
    [("knee", 1), ("best:accuracy", 0), ("best:size_mb", 2), ("trial:3", 3)],
)
def test_each_rule_chooses_its_trial(rule, number):
    assert pick(RECORDS, AXES, rule).number == number


def test_bounds_come_before_the_rule():
    assert pick(RECORDS, AXES, "best:accuracy", [Bound.parse("size_mb<=25")]).number == 1
    assert pick(RECORDS, AXES, "best:size_mb", [Bound.parse("accuracy > 0.65")]).number == 1


def test_bounds_that_nothing_satisfies_say_what_comes_nearest():
    with pytest.raises(NoFeasibleStudent) as caught:
        pick(RECORDS, AXES, "knee", [Bound.parse("size_mb <= 5")])
    assert str(caught.value) == "0 of 4 trials satisfy size_mb <= 5; the smallest is 10 (trial 2)"
    with pytest.raises(NoFeasibleStudent, match=r"the largest is 0\.9 \(trial 0\)"):
        pick(RECORDS, AXES, "knee", [Bound.parse("accuracy>=0.95")])
    with pytest.raises(NoFeasibleStudent, match="together"):
        pick(RECORDS, AXES, "knee", [Bound.parse("accuracy>0.85"), Bound.parse("size_mb<30")])
    with pytest.raises(NoFeasibleStudent, match="measured robust_worst"):
        pick(RECORDS, AXES, "knee", [Bound.parse("robust_worst>=0.1")])
    with pytest.raises(NoFeasibleStudent, match="complete yet"):
        pick([], AXES)


def tied(number, accuracy, size, half):
    measured = Outcome(
        accuracy, size, int(size * 250_000), 1e8,
        intervals={"accuracy": Interval(accuracy - half, accuracy + half)},
    )  # fmt: skip
    return TrialRecord(number=number, state="complete", params={}, outcome=measured)


def test_of_what_is_tied_with_the_knee_the_smallest_is_chosen_and_that_is_said():
    # The knee is 1, as above. 0.79 +- 0.02 overlaps with its 0.8 +- 0.02; 0.6 and 0.9 do not.
    records = [tied(0, 0.9, 40.0, 0.02), tied(1, 0.8, 20.0, 0.02), tied(2, 0.6, 10.0, 0.02)]
    said = []
    assert pick(records, AXES, "knee", say=said.append).number == 1
    assert said == []
    near = tied(3, 0.79, 19.0, 0.02)
    assert Front([*records, near], AXES).knee == 1
    assert pick([*records, near], AXES, "knee", say=said.append).number == 3
    assert said == [
        "the knee, trial 1, is tied with 3 (95 % intervals overlap in every objective): trial 3 "
        "is the smallest; --pick trial:1 takes the knee itself"
    ]
    assert pick([*records, near], AXES, "trial:1").number == 1


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("kneee", "use knee, best:MEASURE or trial:NUMBER"),
        ("best:acuracy", r"did you mean accuracy\?"),
        ("trial:4", "complete are 0, 1, 2, 3"),
        ("trial:99", "no such complete trial"),
    ],
)
def test_a_bad_rule_says_what_would_work(rule, words):
    with pytest.raises(SpecError, match=words):
        pick(RECORDS, AXES, rule)


@pytest.mark.parametrize("text", ["size_mb", "size_mb=3", "size_mb<=big", "<=3"])
def test_a_bad_bound_is_refused(text):
    with pytest.raises(SpecError, match="as in size_mb<=60"):
        asked([text])


def test_a_bound_on_an_unknown_measure_is_refused_by_name():
    with pytest.raises(SpecError, match=r"did you mean size_mb\?"):
        asked(["sise_mb<=3"])


def test_ties_of_the_best_are_broken_by_the_other_objectives():
    tied = [record(0, 0.9, 40.0), record(1, 0.9, 30.0)]
    assert pick(tied, AXES, "best:accuracy").number == 1


def test_the_front_holds_what_nothing_dominates():
    assert Front(RECORDS, AXES).members == (0, 1, 2)
