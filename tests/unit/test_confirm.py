"""A confirmation's plan, its draws, its verdicts: each by hand."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from tests import tiny
from tune_distill.cli.confirm_page import page
from tune_distill.cli.confirmed import markdown
from tune_distill.confirm import latency
from tune_distill.confirm.claims import Pair, claims, interval, p_value
from tune_distill.confirm.model import Model, Rows
from tune_distill.confirm.plan import Candidate, candidates, fresh_seeds, schedule, without_teacher
from tune_distill.confirm.read import HeldOut
from tune_distill.confirm.samples import Sample, drawn
from tune_distill.confirm.summary import summary
from tune_distill.front import Front
from tune_distill.outcome import Objective, Outcome
from tune_distill.plots.confirmed import projections
from tune_distill.record import TrialRecord

AXES = (Objective("accuracy", "max", 0.5), Objective("size_mb", "min", 100.0))


def params(method="kd", width=16, **more):
    return {
        "student.layers": 2,
        "student.hidden_size": width,
        "student.init": "uniform",
        "method": method,
        **({"method.kd.temperature": 2.0} if method == "kd" else {}),
        "train.learning_rate": 1e-3,
        "train.seed": 7,
        **more,
    }


def outcome(accuracy, size_mb=1.0, **more):
    return Outcome(accuracy, size_mb, parameters=int(1e6 * size_mb), flops=1e6 * size_mb, **more)


def record(number, accuracy, size_mb, **more):
    return TrialRecord(number, "complete", params(**more), outcome(accuracy, size_mb))


# --- the plan


def test_the_control_keeps_the_student_and_loses_its_teacher():
    drawn = params("kd", robust="freelb", **{"robust.freelb.steps": 2, "student.init": "random"})
    assert without_teacher(drawn) == {
        "student.layers": 2,
        "student.hidden_size": 16,
        "student.init": "uniform",  # a random start copies no layers
        "method": "finetune",
        "robust": "none",
        "train.learning_rate": 1e-3,
        "train.seed": 7,
    }


@pytest.fixture
def front():
    """Trials 0, 2 and 5 are on the front, 2 is its knee; 3 is the best kd beside them."""
    records = [
        record(0, 0.90, 50.0, method="minilm2", width=64),
        record(1, 0.60, 60.0, method="finetune"),
        record(2, 0.89, 2.0, method="lad", width=24),
        record(3, 0.70, 55.0, method="kd"),
        record(4, 0.65, 58.0, method="kd"),
        record(5, 0.62, 1.0, method="pkd"),
    ]
    return Front(records, AXES)


def members(front):
    return [r for r in front.records if r.number in front.members]


def test_the_members_are_confirmed_beside_a_control_of_the_knee_and_the_best_kd(front):
    assert front.members == (0, 2, 5)
    assert front.knee == 2
    chosen = candidates(front, members(front))
    names = ["trial 0", "trial 2", "trial 5", "finetune of 2", "kd, trial 3"]
    assert [one.name for one in chosen] == names
    every = candidates(front, members(front), "all")
    controls = [one.trial for one in every if one.role == "finetune"]
    assert controls == [0, 2, 5]
    assert {c.role for c in candidates(front, members(front), "none")} == {"front"}


def test_a_member_that_is_its_own_control_gets_none():
    records = [record(0, 0.9, 2.0, method="finetune"), record(1, 0.8, 1.0, width=24)]
    chosen = candidates(Front(records, AXES), records, "all")
    assert [one.name for one in chosen] == ["trial 0", "trial 1", "finetune of 1"]


def test_fresh_seeds_are_no_seeds_of_the_search():
    taken = [TrialRecord(0, "failed", params(**{"train.seed": 1_000_001}))]
    assert fresh_seeds(3, taken) == [1_000_000, 1_000_002, 1_000_003]


def test_all_models_get_one_seed_before_any_gets_a_second():
    chosen = [Candidate("front", 3, params(width=16)), Candidate("finetune", 3, params("finetune"))]
    slots = schedule(chosen, [100, 101], {})
    told = [(s.number, s.candidate.role, s.params["train.seed"], s.found) for s in slots]
    assert told == [
        (0, "front", 7, True),  # the search's own student; a control has none
        (1, "front", 100, False),
        (2, "finetune", 100, False),
        (3, "front", 101, False),
        (4, "finetune", 101, False),
    ]


def test_what_has_ended_keeps_its_number_when_the_plan_grows():
    chosen = [Candidate("front", 3, params(width=16)), Candidate("front", 5, params(width=24))]
    first = schedule(chosen, [100], {})
    ended = {slot.number: slot.params for slot in first if slot.number != 2}
    assert schedule(chosen, [100], ended) == first  # one that was cut short gets its number again
    grown = schedule(chosen, [100, 101], {slot.number: slot.params for slot in first})
    assert grown[: len(first)] == first
    assert [slot.number for slot in grown[len(first) :]] == [4, 5]
    moved = schedule(chosen[1:], [100], {slot.number: slot.params for slot in first})
    assert [slot.number for slot in moved] == [1, 3]


# --- draws


def test_seeds_alone_vary_the_mean_by_their_variance_over_their_number():
    means = np.array([0.70, 0.74, 0.75, 0.81])
    rates = np.repeat(means[:, None], 50, axis=1)  # every row alike: nothing but seeds to draw
    (draws,) = drawn([Sample(rates)], 50, draws=40_000)
    assert draws.mean() == pytest.approx(means.mean(), abs=1e-3)
    assert draws.var() == pytest.approx(means.var(ddof=1) / 4, rel=0.03)


def test_rows_alone_vary_a_rate_as_a_binomial():
    rates = np.array([[1.0] * 60 + [0.0] * 20])
    (draws,) = drawn([Sample(rates)], 80, draws=40_000)
    assert draws.var() == pytest.approx(0.75 * 0.25 / 80, rel=0.03)


def test_models_are_asked_the_same_rows():
    rates = np.random.default_rng(0).integers(0, 2, (1, 90)).astype(float)
    first, second = drawn([Sample(rates), Sample(1 - rates)], 90, draws=200)
    assert first + second == pytest.approx(np.ones(200))


def test_a_metric_that_is_no_mean_is_scored_on_the_drawn_rows():
    values = np.arange(30, dtype=float)
    as_score = Sample(scores=[lambda rows: float(values[rows].mean())])
    as_rates = Sample(values[None])
    first, second = drawn([as_score, as_rates], 30, draws=100)
    assert first == pytest.approx(second)
    assert as_score.values(30) == as_rates.values(30) == [14.5]


# --- claims


def test_a_p_value_is_twice_the_rarer_side():
    assert p_value(np.array([1.0] * 95 + [-1.0] * 5)) == pytest.approx(2 * 6 / 101)
    assert p_value(np.array([1.0] * 99)) == pytest.approx(2 / 100)
    assert p_value(np.zeros(50)) == 1.0
    assert p_value(np.full(50, 1e-17)) == 1.0  # what sums leave of no difference


def test_a_verdict_needs_the_adjusted_p_below_a_twentieth():
    clear, faint = np.array([0.1] * 999), np.array([0.1] * 966 + [-0.1] * 33)  # p 0.002, 0.068
    near = np.array([-0.1] * 982 + [0.1] * 17)  # 0.036, times the 2 that are left
    made = claims(
        [
            Pair("accuracy", "a", "b", 0.1, clear),
            Pair("accuracy", "b", "c", 0.08, faint),
            Pair("accuracy", "c", "d", -0.08, near),
        ]
    )
    assert [claim.p for claim in made] == pytest.approx([0.002, 0.068, 0.036])
    assert [claim.adjusted for claim in made] == pytest.approx([0.006, 0.072, 0.072])
    assert [claim.verdict for claim in made] == ["BETTER", "INCONCLUSIVE", "INCONCLUSIVE"]
    (alone,) = claims([Pair("accuracy", "c", "d", -0.08, near)])
    assert alone.verdict == "WORSE"
    assert interval(np.arange(1001.0)).low == 25.0


# --- the summary


ROWS = 400
LABELS = np.arange(ROWS) % 2


def look(right, size_mb=1.0):
    """A model that gets the first `right` rows right, and is robust on half of the first 100."""
    answers = np.where(np.arange(ROWS) < right, LABELS, 1 - LABELS)
    measured = outcome(right / ROWS, size_mb, robust_worst=0.5, clean_on_attacked=1.0)
    robust = np.arange(100) < 50
    return HeldOut(measured, {}, np.eye(2, dtype=np.float32)[answers], robust)


def model(role, trial, size_mb, searched, again):
    """`again`: of each fresh seed its search accuracy, and how many held-out rows it gets right."""
    return Model(
        Candidate(role, trial, params(width=trial)),
        None if searched is None else outcome(searched, size_mb),
        look(again[0][1], size_mb) if role == "front" else None,
        [(outcome(accuracy, size_mb), look(right, size_mb)) for accuracy, right in again],
    )


@pytest.fixture(scope="module")
def told():
    models = [
        model("front", 4, 8.0, 0.95, [(0.91, 360), (0.93, 364)]),
        model("front", 2, 2.0, 0.90, [(0.89, 358), (0.89, 366)]),
        model("finetune", 4, 8.0, None, [(0.70, 240), (0.74, 244)]),
    ]
    return summary("toy", AXES, models, look(380), Rows("accuracy", LABELS))


def test_the_held_out_mean_deviation_and_values_are_of_the_fresh_seeds(told):
    first = told["models"][0]["heldout"]["accuracy"]
    assert first["values"] == [0.9, 0.91]
    assert first["mean"] == pytest.approx(0.905)
    assert first["sd"] == pytest.approx(0.01 / np.sqrt(2))
    assert first["interval"]["low"] < 0.89 < 0.92 < first["interval"]["high"]
    assert first["found"] == 0.9
    assert told["teacher"]["accuracy"] == 0.95


def test_the_optimism_is_what_the_search_said_beyond_fresh_seeds_on_its_own_rows(told):
    assert told["optimism"] == {
        "accuracy": {"mean": pytest.approx(((0.95 - 0.92) + (0.90 - 0.89)) / 2), "members": 2}
    }


def test_a_member_that_is_as_good_and_smaller_takes_the_front(told):
    # Means 0.905 at 8 MB and 0.905 at 2 MB: the larger one is dominated, if only just.
    assert [one["on_front"] for one in told["models"]] == [False, True, False]
    chances = [one["front_probability"] for one in told["models"]]
    assert chances[1] == 1.0  # the smallest is on every front
    assert 0.3 < chances[0] < 0.7
    assert chances[2] == 0.0


def test_each_model_meets_the_teacher_its_neighbour_and_its_control(told):
    pairs = {(c["first"], c["second"]): c for c in told["claims"] if c["measure"] == "accuracy"}
    assert list(pairs) == [
        ("trial 4", "teacher"),
        ("trial 2", "teacher"),
        ("finetune of 4", "teacher"),
        ("trial 4", "trial 2"),
        ("trial 4", "finetune of 4"),
    ]
    verdicts = [claim["verdict"] for claim in pairs.values()]
    assert verdicts == ["WORSE", "WORSE", "WORSE", "INCONCLUSIVE", "BETTER"]
    # 360 right rows of the found student are among the teacher's 380: 20 rows differ, one way.
    assert pairs["trial 4", "teacher"]["mcnemar"] == pytest.approx(2 * 0.5**20)
    assert pairs["finetune of 4", "teacher"]["mcnemar"] is None
    assert pairs["trial 4", "finetune of 4"]["difference"] == pytest.approx(0.905 - 0.605)


def test_equal_robustness_is_no_claim(told):
    robust = [claim for claim in told["claims"] if claim["measure"] == "robust_worst"]
    assert {claim["verdict"] for claim in robust} == {"INCONCLUSIVE"}
    assert {claim["difference"] for claim in robust} == {0.0}


def test_correlations_are_drawn_over_rows_and_not_averaged_over_them():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=60)
    guesses = [(labels + rng.normal(scale=s, size=60))[:, None] for s in (0.3, 0.4)]
    looks = [HeldOut(outcome(0.9), {}, guess.astype(np.float32), None) for guess in guesses]
    models = [Model(Candidate("front", 0, params()), outcome(0.9), looks[0], [
        (outcome(0.9), one) for one in looks
    ])]  # fmt: skip
    told = summary("toy", AXES, models, looks[0], Rows("pearson", labels))
    expected = [np.corrcoef(guess[:, 0], labels)[0, 1] for guess in guesses]
    assert told["models"][0]["heldout"]["accuracy"]["values"] == pytest.approx(expected, abs=1e-6)
    assert told["attacked_rows"] is None
    assert all(claim["mcnemar"] is None for claim in told["claims"])
    assert [c["measure"] for c in told["claims"]] == ["accuracy"]


def test_a_verdict_stays_possible_however_many_claims_there_are():
    """40 members, kd and a teacher: 81 claims in two measures, so Holm's first p is 162 times."""
    models = [model("front", n, 1.0 + n, 0.5, [(0.5, 100), (0.5, 100)]) for n in range(40)]
    models.append(model("kd", 40, 50.0, 0.5, [(0.5, 100), (0.5, 100)]))
    told = summary("toy", AXES, models, look(380), Rows("accuracy", LABELS))
    assert len(told["claims"]) == 2 * (41 + 39 + 1)
    worse = [c for c in told["claims"] if c["second"] == "teacher" and c["measure"] == "accuracy"]
    assert {claim["verdict"] for claim in worse} == {"WORSE"}  # 100 rows of 400, and 380
    assert all(claim["adjusted"] < 0.05 for claim in worse)


def test_a_form_is_drawn_with_the_seeds_of_its_student():
    means = np.array([[0.5], [0.7], [0.9]])
    plain = Sample(np.repeat(means, 20, axis=1))
    form = Sample(np.repeat(means - 0.25, 20, axis=1), twin=0)
    other = Sample(np.repeat(means - 0.25, 20, axis=1))
    first, same, apart = drawn([plain, form, other], 20, draws=200)
    assert first - same == pytest.approx(np.full(200, 0.25))  # a seed that is good is so for both
    assert (first - apart).std() > 0.1


def test_what_every_row_agrees_on_is_drawn_exactly():
    (draws,) = drawn([Sample(np.ones((2, 60)))], 60, draws=500)
    assert (draws == 1.0).all()


@pytest.fixture(scope="module")
def formed():
    """Two members, one of them as int8, too: a fourth of the size, and two rows of 400 worse."""
    plain = model("front", 4, 8.0, 0.95, [(0.91, 360), (0.93, 364)])
    exact = [(None, look(right, 2.0)) for right in (358, 362)]
    int8 = Model(plain.candidate, None, look(359, 2.0), exact, form="int8")
    small = model("front", 2, 2.5, 0.90, [(0.89, 340), (0.89, 344)])
    machine = {"processor": "P", "cores": 2, "system": "S", "load": "0.1"}
    taken = {"median_ms": 2.0, "low_ms": 1.0, "high_ms": 3.0, "texts": 40, "threads": 1}
    timed = {"machine": machine, "models": {"teacher": taken, "trial 4, ONNX int8": taken}}
    return summary(
        "toy", AXES, [plain, int8, small], look(380, 9.0), Rows("accuracy", LABELS),
        latency=timed, trials={"trial 4": [0, 2]},
    )  # fmt: skip


def test_a_form_is_a_point_of_its_own_on_the_confirmed_front(formed):
    names = [(one["name"], one["form"], one["on_front"]) for one in formed["models"]]
    # int8: 0.9 at 2 MB; it is smaller and better than trial 2: 0.855 at 2.5 MB.
    assert names == [
        ("trial 4", "pytorch", True),
        ("trial 4, ONNX int8", "int8", True),
        ("trial 2", "pytorch", False),
    ]
    int8 = formed["models"][1]
    assert int8["objectives"] == {"accuracy": pytest.approx(0.9), "size_mb": 2.0}
    assert (int8["searched"], int8["again"]) == (None, {})  # nothing but held-out rows were read
    assert int8["heldout"]["accuracy"]["found"] == 359 / 400


def test_int8_is_claimed_against_its_student_alone_and_members_meet_each_other(formed):
    pairs = [(c["first"], c["second"]) for c in formed["claims"] if c["measure"] == "accuracy"]
    assert pairs == [
        ("trial 4", "teacher"),
        ("trial 2", "teacher"),
        ("trial 4", "trial 2"),
        ("trial 4, ONNX int8", "trial 4"),
    ]
    (own,) = [c for c in formed["claims"] if c["first"] == "trial 4, ONNX int8"][:1]
    assert own["difference"] == pytest.approx(-2 / 400)
    assert own["interval"]["high"] == 0.0  # two rows of 400, in every seed, and never the reverse
    assert own["mcnemar"] == 1.0  # one row of the found student, 2 x 1/2


def test_the_optimism_is_of_what_the_search_has_measured(formed):
    assert formed["optimism"]["accuracy"]["members"] == 2


def test_latencies_stand_beside_their_models_with_the_machine(formed):
    assert formed["latency"]["machine"]["processor"] == "P"
    assert (formed["latency"]["texts"], formed["latency"]["threads"]) == (40, 1)
    quick = {"median_ms": 2.0, "low_ms": 1.0, "high_ms": 3.0}
    assert [one["latency"] for one in formed["models"]] == [None, quick, None]
    assert formed["teacher_latency"] == quick
    assert [one["trials"] for one in formed["models"]] == [[0, 2], [0, 2], []]


def test_the_tables_and_the_page_tell_the_same(formed):
    told, text = markdown(formed), page(formed)
    assert "| trial 4, ONNX int8 | 0.9000" in told
    assert "2 (1 to 3)" in told
    assert "1 thread on P, 2 cores, S." in told
    assert "2 of 3 models are on the confirmed front" in text
    for claim in formed["claims"]:
        assert f'<td class="{claim["verdict"]}">' in text
    own = text.replace(get_plotlyjs(), "")
    assert len(own) < len(text)  # plotly is in it,
    assert not re.findall(r"https?:", own)  # and nothing is asked of a network


def test_a_projection_has_a_point_a_model_with_bars_where_there_are_intervals(formed):
    (title, fig), (_, by_latency) = projections(formed)
    assert title == "accuracy against size"
    below, above, teacher = fig.data
    assert list(above.text) == ["4", "4"]  # at 8 and at 2 MB
    assert list(above.x) == [8.0, 2.0]
    assert list(above.marker.symbol) == ["circle", "triangle-up"]
    assert list(below.marker.symbol) == ["circle-open"]
    high = formed["models"][0]["heldout"]["accuracy"]["interval"]["high"]
    assert above.error_y.array[0] == pytest.approx(high - 0.905)
    assert above.error_x.array is None  # a size is exact
    assert (teacher.x[0], teacher.y[0]) == (9.0, 0.95)
    assert [list(trace.x) for trace in by_latency.data] == [[], [2.0], [2.0]]


def test_latencies_are_taken_once_for_the_same_models_and_machine(tmp_path, monkeypatch):
    folder, rows, said = tmp_path / "student", tiny.rows(6), []
    tiny.bert(layers=1).save_pretrained(folder)
    models = {"teacher": latency.Timed(folder, rows), "trial 1": latency.Timed(folder, rows)}
    kept = latency.timings(tmp_path / "latency.json", models, said.append)
    assert kept["models"].keys() == {"teacher", "trial 1"}
    assert kept["models"]["trial 1"]["texts"] == 6
    again = latency.timings(tmp_path / "latency.json", {"teacher": models["teacher"]}, said.append)
    assert again == json.loads((tmp_path / "latency.json").read_text()) == kept
    assert said == ["timing 2 models, a text at a time"]
    elsewhere = {**latency.machine(), "processor": "another"}
    monkeypatch.setattr(latency, "machine", lambda: elsewhere)
    latency.timings(tmp_path / "latency.json", models, said.append)
    assert len(said) == 2


def test_draws_are_the_same_twice():
    rates = np.random.default_rng(1).integers(0, 2, (3, 40)).astype(float)
    once, again = (drawn([Sample(rates)], 40, draws=50) for _ in range(2))
    assert (once == again).all()
