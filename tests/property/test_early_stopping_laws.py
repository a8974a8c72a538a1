"""Laws of early stopping, on rungs of all kinds."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tune_distill import pareto
from tune_distill.scheduler.rules import judge
from tune_distill.scheduler.rungs import Rungs

VALUES = st.integers(0, 6).map(float)  # few, so that ties are common
ROWS = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.tuples(*[VALUES] * width), min_size=1, max_size=14)
)
FACTORS = st.floats(1.1, 6.0)
RULES = st.sampled_from(["moasha", "asha", "median"])
REPORTS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(1, 9), VALUES, VALUES), min_size=1, max_size=40
)


@given(ROWS, FACTORS)
@settings(max_examples=60, deadline=None)
def test_moasha_stops_no_member_of_the_front_and_lets_no_fewer_go_on_than_it_says(rows, factor):
    table = np.array(rows)
    verdicts = [judge("moasha", table, n, factor) for n in range(len(rows))]
    assert sorted(verdict.place for verdict in verdicts) == list(range(1, len(rows) + 1))
    front = pareto.front(table)
    assert not any(v.stop for v, member in zip(verdicts, front, strict=True) if member)
    on = [not verdict.stop for verdict in verdicts]
    assert sum(on) == max(math.ceil(len(rows) / factor), int(front.sum()))


@given(ROWS)
@settings(max_examples=60, deadline=None)
def test_who_dominates_comes_first(rows):
    table = np.array(rows)
    places = [judge("moasha", table, n, 3.0).place for n in range(len(rows))]
    for worse, beaten_by in enumerate(pareto.dominators(table)):
        assert all(places[better] < places[worse] for better in beaten_by)


@given(RULES, ROWS, FACTORS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_whether_a_trial_goes_on_does_not_depend_on_the_order_of_the_others(
    rule, rows, factor, random
):
    # equal trials share the places among them, so only one that has no equal is followed
    rows = list(dict.fromkeys(rows))
    order = random.sample(range(len(rows)), len(rows))
    before = np.array(rows)
    after = before[order]
    for n, at in enumerate(order):
        if rule == "moasha":  # within a rank ties of distance go to the earlier row
            assert judge(rule, before, at, 1e9).stop == judge(rule, after, n, 1e9).stop
        else:
            assert judge(rule, before, at, factor) == judge(rule, after, n, factor)


@given(RULES, REPORTS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_replayed_in_any_order_of_trials_the_reports_make_the_same_rungs(rule, reports, random):
    shares = (1 / 9, 1 / 3)
    by_trial: dict[int, list[tuple[int, tuple[float, float]]]] = {}
    for number, epoch, *worth in reports:
        said = by_trial.setdefault(number, [])
        if not said or epoch > said[-1][0]:
            said.append((epoch, tuple(worth)))
    live = Rungs(shares, rule, 3.0)
    told = sorted((e, n, w) for n, said in by_trial.items() for e, w in said)
    verdicts = [live.reached(n, e / 9, w) for e, n, w in told]  # trials side by side
    again = Rungs(shares, rule, 3.0)
    numbers = sorted(by_trial)
    random.shuffle(numbers)
    for number in numbers:  # one record after the other
        for epoch, worth in by_trial[number]:
            again.reached(number, epoch / 9, worth)
    assert live.losses == again.losses
    for number in numbers:  # and what was said already is not judged again
        assert all(again.reached(number, e / 9, w) is None for e, w in by_trial[number])
    fresh = (99, 1 / 9, (3.0, 3.0))
    assert live.reached(*fresh) == again.reached(*fresh)
    third = Rungs(shares, rule, 3.0)
    assert [third.reached(n, e / 9, w) for e, n, w in told] == verdicts
