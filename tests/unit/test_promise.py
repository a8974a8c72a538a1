"""What a draw promises: by hand where that can be done, by closed formulas where not."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest

from tests.toy_study import DOCUMENT, spec_of
from tune_distill.searcher import promise as promise_module
from tune_distill.searcher.coordinates import ABSENT, Coordinates
from tune_distill.searcher.promise import MOST, Promise
from tune_distill.searcher.seen import Seen, foretold
from tune_distill.space import Params, at_random
from tune_distill.spec import StudySpec
from tune_distill.spec.bounds import Bound

SPEC = spec_of()  # accuracy from 0.5, megabytes to 100


def size(params: Params) -> dict[str, float]:
    return {"size_mb": 10.0 * float(params["student.layers"] or 0)}


def drawn(count: int, spec: StudySpec = SPEC, **fixed: float) -> list[Params]:
    suggest = at_random(random.Random(0))
    return [spec.search_space.draw(suggest) | fixed for _ in range(count)]


def learned(params: Params) -> float:
    """More layers are better, and so are learning rates near 1e-4."""
    rate = float(params["train.learning_rate"] or 0)
    return 0.6 + 0.03 * float(params["student.layers"] or 0) - 0.1 * abs(np.log10(rate) + 4)


def complete(params: Params, **more: float) -> Seen:
    return Seen(params, final={"accuracy": learned(params), **size(params), **more})


def promise(*bounds: str) -> Promise:
    return Promise(SPEC.search_space, SPEC.axes, [Bound.parse(b) for b in bounds], size)


def test_coordinates_scale_ranges_number_choices_and_mark_what_is_absent():
    at = Coordinates(SPEC.search_space)
    params = {
        "student.layers": 6,  # of 1 to 6: 1
        "student.hidden_size": 16,  # of [16, 24]: 0
        "student.heads": 4,  # of [2, 4, 8], by logarithms: 1/2
        "method": "kd",  # the second
        "method.kd.temperature": 10.0**0.25,  # of log [1, 10]: 1/4
        "train.learning_rate": 1.0e-4,  # of log [1e-5, 1e-3]: 1/2
    }
    np.testing.assert_allclose(at.of(params), [1.0, 0.0, 0.5, 1.0, 0.25, 0.5])
    assert at.nominal.tolist() == [False, False, False, True, False, False]
    without = {k: v for k, v in params.items() if k != "method.kd.temperature"}
    assert at.of(without | {"method": "finetune"})[3:5].tolist() == [0.0, ABSENT]


def test_with_nothing_on_the_front_the_gain_is_the_expected_improvement_times_the_room():
    one = promise()
    trials = [Seen(t.params, t.final, allowed=False) for t in map(complete, drawn(12))]
    assert one.look(trials, random.Random(0)) == []
    for params in drawn(5):
        mean, sd = one._models["accuracy"].predict(one._at.of(params)[None])
        z, normal = float((mean[0] - 0.5) / sd[0]), NormalDist()
        expected = (mean[0] - 0.5) * normal.cdf(z) + sd[0] * normal.pdf(z)
        room = 100.0 - size(params)["size_mb"]
        assert one.gains([params])[0] == pytest.approx(room * expected, rel=0.02)  # 32 strata


def test_a_front_leaves_only_what_extends_it():
    one, trials = promise(), [complete(params) for params in drawn(40)]
    front = one.look(trials, random.Random(0))
    layers = [int(params["student.layers"] or 0) for params in front]
    assert sorted(layers) == sorted(set(layers))  # sizes are known: one member of each at most
    near_best = drawn(1)[0] | {"train.learning_rate": 1.0e-4, "student.layers": 3}
    far = near_best | {"train.learning_rate": 1.0e-3}
    gains = one.gains([near_best, far])
    assert gains[0] > 10 * gains[1]


def test_a_draw_that_likely_breaks_a_constraint_promises_little():
    trials = [complete(params) for params in drawn(40)]
    draws = drawn(1, **{"student.layers": 1, "train.learning_rate": 1.0e-4})  # 0.63
    gains = []
    for bounds in ([], ["accuracy >= 0.7"], ["size_mb <= 5"]):
        one = promise(*bounds)
        one.look(trials, random.Random(0))
        gains.append(one.gains(draws)[0])
    assert gains[1] < 0.01 * gains[0]
    assert gains[2] == gains[0]  # what is known is refused before: no affair of a model


def test_with_three_objectives_the_best_of_many_is_the_best_of_the_few(monkeypatch):
    more = {"robust_worst": {"goal": "max", "reference": 0.0}}
    spec = spec_of({"objectives": {**DOCUMENT["objectives"], **more}})
    trials = [complete(p, robust_worst=1 - learned(p)) for p in drawn(20)]
    one, draws = Promise(spec.search_space, spec.axes, (), size), drawn(300)
    one.look(trials, random.Random(0))
    screened = one.gains(draws)
    assert (screened > 0).sum() <= promise_module.DEAR
    monkeypatch.setattr(promise_module, "DEAR", 300)
    whole = one.gains(draws)
    assert screened.argmax() == whole.argmax()
    assert screened.max() == whole.max()


def test_trials_in_flight_are_not_proposed_again():
    trials, draws = [complete(params) for params in drawn(20)], drawn(200)
    one = promise()
    one.look(trials, random.Random(0))
    best = draws[int(one.gains(draws).argmax())]
    before = one.gains([best])[0]
    one.look([*trials, Seen(best, running=True)], random.Random(0))
    assert one.gains([best])[0] < 0.5 * before


def test_failed_trials_lower_what_their_neighbours_promise():
    trials = [complete(params) for params in drawn(20)]
    one, (draw,) = promise(), drawn(1, **{"student.layers": 6, "train.learning_rate": 1.0e-4})
    one.look(trials, random.Random(0))
    before = one.gains([draw])[0]
    one.look([*trials, *[Seen(draw, failed=True)] * 3], random.Random(0))
    assert one.gains([draw])[0] < 0.5 * before


def test_a_stopped_trial_is_taken_to_end_as_those_that_stood_where_it_did():
    def one(then: float, end: float) -> Seen:
        return Seen({}, final={"accuracy": end}, curve=[(0.25, then), (1.0, end)])

    ended = [*[one(0.6, 0.7), one(0.6, 0.8)] * 5, *[one(0.9, 0.9)] * 20]
    # the ten nearest rose by 0.1 or 0.2: median 0.15, standard deviation 0.05
    assert foretold(Seen({}, curve=[(0.25, 0.62)]), ended) == pytest.approx((0.77, 0.05))
    # between two reports of the others, by a line: at half 0.7, and 0.9 in the end
    between = [one(0.6, 0.9)] * 10
    assert foretold(Seen({}, curve=[(0.5, 0.7)]), between) == pytest.approx((0.9, 0.0))


def test_of_many_trials_the_front_and_the_newest_are_looked_at():
    best = [complete(p) for p in drawn(1, **{"student.layers": 2, "train.learning_rate": 1e-4})]
    many = [complete(p) for p in drawn(MOST, **{"student.layers": 3})]
    last = Seen(drawn(1)[0], running=True)
    some = promise()._some([*best, *many, last])
    assert len(some) == MOST
    assert some[0] is best[0]
    assert some[-1] is last


def test_scales_are_fitted_anew_as_a_study_grows_beyond_what_the_models_are_made_of(monkeypatch):
    monkeypatch.setattr(promise_module, "MOST", 20)
    one, trials, scales = promise(), [complete(params) for params in drawn(26)], []
    for count in (20, 21, 23, 25, 26):  # a tenth more than 20 is 22, than 23 is 25.3
        one.look(trials[:count], random.Random(0))
        scales.append(one._models["accuracy"].scales.tolist())
    anew = [after != before for before, after in pairwise(scales)]
    assert anew == [False, True, False, True]
