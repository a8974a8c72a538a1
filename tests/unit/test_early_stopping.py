"""Early stopping without Ray: verdicts by hand, rungs, and what of a study is judged."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from tests.toy_study import DOCUMENT, spec_of
from tune_distill.errors import SpecError
from tune_distill.outcome import Objective
from tune_distill.record import Rung
from tune_distill.scheduler import EarlyStopping, StopEarly, Verdict
from tune_distill.scheduler.early import losses
from tune_distill.scheduler.rules import judge
from tune_distill.scheduler.rungs import Rungs, shares


def of(*points: tuple[float, float]) -> np.ndarray:
    """(accuracy, megabytes) as losses."""
    return np.array([(-accuracy, size) for accuracy, size in points])


# Six students at a rung. A, B and C are the front; A alone dominates D, B alone E, and all of the
# others F.
SIX = of((0.80, 8.0), (0.70, 4.0), (0.60, 1.0), (0.75, 9.0), (0.65, 5.0), (0.60, 9.5))
A, B, C, D, E, F = range(6)


@pytest.mark.parametrize("which", [A, B, C])
def test_the_rungs_front_goes_on_however_small_or_long_it_is(which):
    # ceil(6 / 6) = 1 goes on by its place, and it is the most accurate; the others by protection
    verdict = judge("moasha", SIX, which, 6.0)
    assert not verdict.stop
    assert verdict.place <= 3


def test_behind_the_front_the_places_of_the_second_rank_follow():
    # rank 1 is {D, E}: D is the more accurate and comes first; rank 2 is F
    assert [judge("moasha", SIX, one, 3.0).place for one in (D, E, F)] == [4, 5, 6]
    assert [judge("moasha", SIX, one, 3.0).stop for one in (D, E, F)] == [True, True, True]
    # ceil(6 / 1.5) = 4 go on: D is the fourth
    assert [judge("moasha", SIX, one, 1.5).stop for one in (D, E, F)] == [False, True, True]


def test_within_a_rank_the_farthest_from_those_before_comes_next():
    # One front of five. Better shares, accuracy: 0, 1, 2, 3, 4 of 5, size: 4, 3, 2, 1, 0 of 5.
    # The most accurate first, then the other end, then the middle; then the two between, the
    # earlier one first.
    line = of((0.9, 9.0), (0.8, 8.0), (0.7, 7.0), (0.6, 6.0), (0.5, 5.0))
    assert [judge("moasha", line, one, 3.0).place for one in range(5)] == [1, 4, 3, 5, 2]


def test_megabytes_weigh_no_more_than_accuracies():
    large = SIX * [1.0, 1000.0]
    assert [judge("moasha", SIX, n, 3.0) for n in range(6)] == [
        judge("moasha", large, n, 3.0) for n in range(6)
    ]


def test_equal_students_are_equally_on_the_front():
    twins = of((0.7, 4.0), (0.7, 4.0), (0.7, 4.0), (0.7, 4.0))
    assert [judge("moasha", twins, n, 4.0).stop for n in range(4)] == [False] * 4
    assert sorted(judge("moasha", twins, n, 4.0).place for n in range(4)) == [1, 2, 3, 4]


@pytest.mark.parametrize("rule", ["moasha", "asha", "median", "none"])
def test_the_first_at_a_rung_goes_on(rule):
    assert judge(rule, of((0.1, 99.0)), 0, 3.0) == Verdict(False, 1, 1)


def test_asha_goes_by_accuracy_alone_and_stops_the_small_one():
    # accuracy: A 1st, D 2nd, B 3rd, E 4th, C and F 5th together; ceil(6 / 3) = 2 go on
    verdicts = [judge("asha", SIX, one, 3.0) for one in range(6)]
    assert [verdict.place for verdict in verdicts] == [1, 3, 5, 2, 4, 5]
    assert [verdict.stop for verdict in verdicts] == [False, True, True, False, True, True]


def test_the_median_stops_what_half_of_the_others_dominate():
    # F is dominated by A, B, C, D and E (0.65 > 0.6, 5 < 9.5): 5 of 5. D only by A: 1 of 5.
    assert judge("median", SIX, F, 3.0) == Verdict(True, 6, 6)
    assert judge("median", SIX, D, 3.0) == Verdict(False, 2, 6)
    # dominated by 2 of 4 is half; by 1 of 2 is too, but two are too few to tell
    half = of((0.9, 1.0), (0.8, 2.0), (0.5, 9.0), (0.4, 9.0), (0.7, 3.0))
    assert judge("median", half, 4, 3.0).stop
    assert not judge("median", half[[0, 2, 4]], 2, 3.0).stop


def test_with_one_objective_the_median_is_the_classic_rule():
    table = np.array([[-0.9], [-0.8], [-0.7], [-0.6], [-0.5]])
    stopped = [judge("median", table, n, 3.0).stop for n in range(5)]
    assert stopped == [False, False, True, True, True]  # better than it: 0, 1, 2, 3, 4 of 4


def test_the_rungs_of_halving_end_before_the_training_does():
    assert shares(1, 3.0, 9) == pytest.approx((1 / 9, 1 / 3))
    assert shares(1, 3.0, 3) == pytest.approx((1 / 3,))
    assert shares(2, 2.0, 9) == pytest.approx((2 / 9, 4 / 9, 8 / 9))
    assert shares(1, 1.5, 4) == pytest.approx((0.25, 0.375, 0.5625, 0.84375))
    assert shares(3, 3.0, 3) == ()


def numbers_at(rungs: Rungs) -> list[list[int]]:
    return [sorted(rung) for rung in rungs.losses]


def test_a_trial_is_judged_at_rungs_and_nowhere_else():
    rungs = Rungs(shares(1, 3.0, 9), "moasha", 3.0)
    verdicts = [rungs.reached(0, epoch / 9, (0.0,)) for epoch in range(1, 10)]
    assert [epoch for epoch, v in enumerate(verdicts, start=1) if v is not None] == [1, 3]
    assert numbers_at(rungs) == [[0], [0]]


def test_a_shorter_training_reaches_a_rung_at_the_same_share_of_its_own():
    rungs = Rungs(shares(1, 3.0, 9), "moasha", 3.0)
    # a third is behind it after its first epoch of three: that is no longer the rung at a ninth
    assert rungs.reached(0, 1 / 3, (0.0,)) is not None
    assert numbers_at(rungs) == [[], [0]]
    # after one of four it is past a ninth, after two past a third
    assert [rungs.reached(1, epoch / 4, (0.0,)) is not None for epoch in (1, 2, 3, 4)] == [
        *(True, True, False, False)
    ]
    # a training of one epoch ends as it reaches them
    assert rungs.reached(2, 1.0, (0.0,)) is None
    assert numbers_at(rungs) == [[1], [0, 1]]


def test_what_is_reported_again_after_a_fault_is_not_judged_again():
    rungs = Rungs(shares(1, 3.0, 9), "asha", 3.0)
    for number in range(5):
        rungs.reached(number, 1 / 9, (-number / 10,))
    assert rungs.reached(0, 1 / 9, (0.9,)) is None
    assert rungs.losses[0][0] == (0.0,)  # what it was worth when it was judged
    assert rungs.reached(0, 3 / 9, (0.9,)) == Verdict(False, 1, 1)


def rung(epoch: int, accuracy: float, guard: float | None = None, **more: int) -> Rung:
    return Rung(epoch, more.pop("updates", epoch * 10), accuracy, {}, 1.0, guard, **more)


OBJECTIVES = (
    Objective("size_mb", "min", 10.0),
    Objective("robust_worst", "max", 0.0),
    Objective("accuracy", "max", 0.5),
    Objective("label_loyalty", "max", 0.0),
)


def test_a_trial_is_judged_on_what_is_known_of_it_accuracy_first():
    known = {"size_mb": 4.0, "parameters": 1e6, "flops": 1e9}
    assert losses(rung(1, 0.7), known, OBJECTIVES) == (-0.7, 4.0)
    assert losses(rung(1, 0.7, guard=0.2), known, OBJECTIVES) == (-0.7, 4.0, -0.2)


def stopping(rule: str = "moasha", epochs: object = 3, **keys: object) -> EarlyStopping:
    space = {**DOCUMENT["space"], "train": {"epochs": epochs}}
    spec = spec_of({"space": space}, stop_early={"rule": rule, **keys})
    return EarlyStopping(spec, lambda params: {"size_mb": float(params["size"])})


def test_a_stopped_trial_has_a_reason_that_names_rule_rung_and_place():
    early = stopping()
    for number, (accuracy, size) in enumerate([(0.9, 1.0), (0.8, 2.0), (0.7, 3.0)]):
        early.reported(number, {"size": size, "train.epochs": 3}, rung(1, accuracy))
    assert early.reasons == {
        1: "moasha: stopped after epoch 1 of 3, at the rung at 33% of its training: place 2 of 2",
        2: "moasha: stopped after epoch 1 of 3, at the rung at 33% of its training: place 3 of 3",
    }


def test_a_training_that_its_defence_makes_shorter_is_judged_by_updates():
    # 6 epochs of 10 updates are meant, and a defence that costs twice leaves 30 updates
    early = stopping(epochs=6, grace=2)
    reports = [rung(e, 0.7, updates=10 * e, planned=30) for e in (1, 2, 3)]
    verdicts = [early.reported(0, {"size": 1.0, "train.epochs": 6}, one) for one in reports]
    assert [verdict is not None for verdict in verdicts] == [True, False, False]  # at 2 of 6


def test_no_rule_judges_nothing_and_asks_for_no_size():
    spec = spec_of()
    early = EarlyStopping(spec, lambda _: pytest.fail("nobody needs it"))
    assert not early.active
    assert early.reported(0, {}, rung(1, 0.7)) is None


def test_what_an_earlier_run_heard_counts_and_is_not_judged_again():
    early = stopping("asha")
    for number in range(5):
        params = {"size": 1.0, "train.epochs": 3}
        early.replay(number, params, [rung(1, 0.9 - number / 10)])
    assert early.reasons == {}
    verdict = early.reported(5, {"size": 1.0, "train.epochs": 3}, rung(1, 0.75))
    assert verdict == Verdict(True, 3, 6)
    assert early.reported(4, {"size": 1.0, "train.epochs": 3}, rung(1, 0.1)) is None


@pytest.mark.parametrize(
    ("keys", "objectives", "said"),
    [
        ({"rule": "moasha", "grace": 3}, ("accuracy",), r"stop_early.grace: 3, and no training"),
        ({"rule": "median"}, ("size_mb",), r"median judges accuracy or robust_worst"),
        ({"rule": "asha"}, ("robust_worst",), r"asha judges accuracy, as the only"),
        ({"rule": "moasha", "factor": 1.0}, ("accuracy",), r"stop_early.factor: .*greater than 1"),
        ({"rule": "hyperband"}, ("accuracy",), r"stop_early.rule: .*'moasha'"),
    ],
)
def test_a_rule_that_could_stop_nothing_is_refused(keys, objectives, said):
    sections = {"objectives": {name: {"goal": "max", "reference": 0.0} for name in objectives}}
    with pytest.raises(SpecError, match=said):
        spec_of(sections, stop_early=keys)


def test_the_longest_training_decides_where_the_rungs_are():
    early = stopping(epochs=[3, 9])
    # of nine epochs: rungs after the first and the third; of three: after the first
    nine = [early.reported(0, {"size": 1.0, "train.epochs": 9}, rung(e, 0.7)) for e in range(1, 9)]
    assert [e for e, v in enumerate(nine, start=1) if v] == [1, 3]
    three = early.reported(1, {"size": 1.0, "train.epochs": 3}, rung(1, 0.7))
    assert three is not None
    assert three.among == 2


def test_tune_hears_stop_where_the_rule_says_so_and_continue_else():
    scheduler = StopEarly(stopping())
    answers = []
    for number, accuracy in enumerate([0.9, 0.8, 0.95]):
        trial = SimpleNamespace(
            config={"number": number, "params": {"size": 1.0 + number, "train.epochs": 3}}
        )
        report = {"final": False, "rung": json.dumps(asdict(rung(1, accuracy)))}
        answers.append(scheduler.on_trial_result(None, trial, report))
    assert answers == ["CONTINUE", "STOP", "CONTINUE"]
    assert scheduler.on_trial_result(None, trial, {"final": True, "record": "{}"}) == "CONTINUE"


def test_of_the_trials_that_wait_the_first_drawn_runs_first():
    def trial(number, status):
        return SimpleNamespace(config={"number": number}, status=status)

    live = {n: trial(n, status) for n, status in ((4, "PENDING"), (2, "PENDING"), (1, "RUNNING"))}
    controller = SimpleNamespace(get_live_trials=lambda: list(live.values()))
    scheduler = StopEarly(stopping())
    assert scheduler.choose_trial_to_run(controller) is live[2]
    del live[2], live[4]
    assert scheduler.choose_trial_to_run(controller) is None


def test_what_tune_pickles_of_the_scheduler_holds_no_trials():
    assert len(pickle.dumps(StopEarly(stopping()))) < 100
