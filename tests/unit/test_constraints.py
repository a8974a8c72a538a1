"""Constraints: read once, met before a trial starts where they can be, and on the whole front."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import pytest

from tests.toy_study import asker, finish, spec_of
from tune_distill.cli.progress import Progress
from tune_distill.errors import NoFeasibleStudent, SpecError
from tune_distill.folder import StudyFolder
from tune_distill.front import Front
from tune_distill.launch.standing import standing
from tune_distill.outcome import Objective, Outcome
from tune_distill.plots import front_data, report
from tune_distill.record import TrialRecord
from tune_distill.searcher.refusals import Refusals
from tune_distill.searcher.study import constraints
from tune_distill.spec.bounds import Bound, passed

AXES = (Objective("accuracy", "max", 0.5), Objective("size_mb", "min", 100.0))


def test_a_bound_is_read_whatever_its_blanks_and_its_number_look_like():
    assert Bound.parse("size_mb<=60") == Bound("size_mb", "<=", 60.0)
    assert Bound.parse("  flops  <  1.5e9 ") == Bound("flops", "<", 1.5e9)
    assert Bound.parse("accuracy >= .8") == Bound("accuracy", ">=", 0.8)
    assert str(Bound.parse("flops<=1234567890")) == "flops <= 1234567890"


@pytest.mark.parametrize(
    ("text", "value", "excess"),
    [
        ("size_mb <= 60", 61.5, 1.5),
        ("size_mb <= 60", 60.0, 0.0),
        ("size_mb < 60", 60.0, math.ulp(0.0)),  # the least that Optuna takes for a violation
        ("size_mb < 60", 59.0, -1.0),
        ("accuracy >= 0.75", 0.5, 0.25),
        ("accuracy > 0.75", 0.75, math.ulp(0.0)),
    ],
)
def test_the_excess_over_a_bound_is_positive_exactly_where_it_does_not_hold(text, value, excess):
    bound = Bound.parse(text)
    assert bound.excess(value) == excess
    assert bound.holds(value) == (excess <= 0)


@pytest.mark.parametrize(
    ("constraints", "line"),
    [
        (["size_mb <= 5", "sise_mb <= 60"], r"constraints.1: 'sise_mb <= 60': unknown measure; .*"),
        (["size_mb = 60"], r"constraints.0: 'size_mb = 60': a bound is MEASURE<=NUMBER, as in .*"),
        (["size_mb <= 1.2.3"], r"constraints.0: .*a bound is MEASURE<=NUMBER.*"),
        (["robust_worst >= 0.5"], r".*constraints.0: robust_worst >= 0.5 bounds what no trial.*"),
    ],
)
def test_every_mistake_in_a_constraint_is_named_with_its_place(constraints, line):
    with pytest.raises(SpecError, match=rf"^{line}$"):
        spec_of({"constraints": constraints})


def test_a_misspelt_measure_has_a_suggestion_and_mistakes_come_together():
    with pytest.raises(SpecError, match=r"did you mean size_mb\?") as caught:
        spec_of({"constraints": ["sise_mb <= 1", "acuracy >= 1"]}, trials=0)
    assert len(caught.value.problems) == 3


def test_what_is_known_of_a_draw_is_held_against_its_bounds_with_value_and_bound():
    bounds = [Bound.parse(text) for text in ("size_mb <= 10", "flops <= 5", "accuracy >= 0.9")]
    reasons = passed(bounds, {"size_mb": 17.6, "flops": 5.0})
    assert reasons == ["size_mb would be 17.6; asked for is size_mb <= 10"]


def test_a_refused_draw_costs_no_trial_and_keeps_its_reason(tmp_path):
    spec = spec_of({"constraints": ["size_mb <= 3"]}, sampler="random")
    folder = StudyFolder(tmp_path)

    def infeasible(params):
        return passed(spec.bounds, {"size_mb": float(params["student.layers"])})

    one = asker(folder, spec, infeasible=infeasible)
    draws = [one.suggest(str(n)) for n in range(6)]
    assert all(draw["params"]["student.layers"] <= 3 for draw in draws)
    reasons = {r for t in one.study.get_trials() for r in t.user_attrs.get("infeasible", ())}
    known = {f"size_mb would be {n}; asked for is size_mb <= 3" for n in (4, 5, 6)}
    assert reasons
    assert reasons <= known


def test_a_space_that_no_constraint_allows_names_what_comes_nearest(tmp_path):
    spec = spec_of({"constraints": ["size_mb <= 0.5"]})

    def infeasible(params):
        return passed(spec.bounds, {"size_mb": float(params["student.layers"])})

    one = asker(StudyFolder(tmp_path), spec, infeasible=infeasible)
    one.suggest("a")
    assert isinstance(one.error, NoFeasibleStudent)
    assert "size_mb <= 0.5 isn't met; the smallest size_mb is 1 (2000 draws)" in str(one.error)


def test_refusals_are_told_by_their_number():
    refusals, bound = Refusals(), Bound.parse("accuracy >= 0.5")
    for value in (0.1, 0.3, 0.2):
        refusals.infeasible(passed([bound], {"accuracy": value}))
    refusals.infeasible(["pkd needs more layers"])
    refusals.duplicate()
    assert refusals.counts == {"infeasible": 4, "duplicate": 1}
    assert refusals.common() == (
        "accuracy >= 0.5 isn't met; the largest accuracy is 0.3 (3 draws); "
        "pkd needs more layers (1 draws)"
    )


@pytest.mark.parametrize("kind", ["tpe", "nsga2", "nsga3", "random", "qmc"])
def test_optuna_is_told_by_how_much_and_a_resumed_search_knows_it(tmp_path, kind):
    spec = spec_of({"constraints": ["accuracy >= 0.75", "size_mb < 9"]}, sampler=kind)
    folder = StudyFolder(tmp_path)
    one = asker(folder, spec)
    finish(one, "a", one.suggest("a"), accuracy=0.5, size_mb=4.0)
    finish(one, "b", one.suggest("b"), accuracy=0.875, size_mb=8.5)
    told = [
        {"accuracy >= 0.75": 0.25, "size_mb < 9": -5.0},
        {"accuracy >= 0.75": -0.125, "size_mb < 9": -0.5},
    ]
    assert [t.constraints for t in one.study.get_trials()] == told
    assert [t.number for t in one.study.best_trials] == [1]  # by Optuna's own reckoning
    again = asker(folder, spec)
    assert [t.constraints for t in again.study.get_trials()] == told
    for n in range(12):
        finish(again, str(n), again.suggest(str(n)))
    folder.journal.unlink()
    rebuilt = asker(folder, spec).study
    assert [t.constraints for t in rebuilt.get_trials()][:2] == told


def test_a_search_killed_between_the_constraints_and_the_end_tells_the_end(tmp_path):
    spec = spec_of({"constraints": ["accuracy >= 0.75"]})
    folder = StudyFolder(tmp_path)
    one = asker(folder, spec)
    draw = one.suggest("a")
    study, tell = one.study, one.study.tell

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    study.tell = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        finish(one, "a", draw, accuracy=0.5)
    study.tell = tell  # type: ignore[method-assign]
    (trial,) = asker(folder, spec).study.get_trials()
    assert (trial.state.name, trial.constraints) == ("COMPLETE", {"accuracy >= 0.75": 0.25})


def record(number, accuracy, size):
    return TrialRecord(number, "complete", {"method": "kd"}, Outcome(accuracy, size, 1, 1.0))


# 0 dominates 1 and is too large; of the allowed 1, 2 and 3, trial 3 is dominated by 1.
RECORDS = [record(0, 0.9, 60.5), record(1, 0.8, 60.0), record(2, 0.6, 20.0), record(3, 0.7, 60.0)]
BOUNDS = (Bound.parse("size_mb <= 60"),)


def test_a_member_of_the_front_satisfies_every_constraint_wherever_one_looks():
    front = Front(RECORDS, AXES, BOUNDS)
    assert front.members == (1, 2)
    assert Front(RECORDS, AXES).members == (0, 1, 2)
    now = standing(RECORDS, AXES, 9, {}, False, BOUNDS)
    assert now.front == (1, 2)
    # 1: 0.3 * (100 - 60) = 12; 2 adds 0.1 * (60 - 20) = 4.
    assert now.hypervolume == pytest.approx(16.0)
    assert Progress(AXES, 9, list(RECORDS), bounds=BOUNDS).now.front == (1, 2)
    data = front_data(RECORDS, AXES, None, "toy", BOUNDS)
    assert data["front"] == [1, 2]
    assert data["constraints"] == ["size_mb <= 60"]
    assert [t["on_front"] for t in data["trials"]] == [False, True, True, False]
    assert [t["breaks"] for t in data["trials"]] == [["size_mb <= 60"], [], [], []]
    assert [t["dominated_by"] for t in data["trials"]] == [[], [], [], [1]]
    assert data["hypervolume"] == pytest.approx(16.0)
    assert data["hypervolume_curve"][-1] == [3, pytest.approx(16.0)]
    assert data["knee"] in (1, 2)


def test_a_measure_that_was_not_taken_satisfies_no_bound():
    assert Front(RECORDS, AXES, [Bound.parse("robust_worst >= 0")]).members == ()


def test_where_nothing_is_allowed_the_nearest_is_named():
    front = Front(RECORDS, AXES, [Bound.parse("size_mb <= 10")])
    with pytest.raises(NoFeasibleStudent) as caught:
        front.require()
    said = "0 of 4 trials satisfy size_mb <= 10; the smallest is 20 (trial 2)"
    assert str(caught.value) == said
    assert (front.members, front.knee) == ((), None)
    Front(RECORDS, AXES, BOUNDS).require()
    Front([], AXES, BOUNDS).require()  # nothing has ended: nothing is wrong


class Text(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.said = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.said += data


def test_the_page_says_what_the_front_satisfies_or_that_nothing_does():
    page = report(front_data(RECORDS, AXES, None, "toy", BOUNDS))
    assert "Those on the front satisfy size_mb <= 60." in Text(page).said
    none = report(front_data(RECORDS, AXES, None, "toy", [Bound.parse("size_mb <= 10")]))
    assert "None satisfies size_mb <= 10." in Text(none).said
    assert "hypervolume after each trial" not in Text(none).said


def test_a_student_at_chance_is_on_no_front_of_robust_ones_and_the_sampler_hears_it():
    robust = {"accuracy": ("max", 0.5), "robust_worst": ("max", 0.0)}
    axes = [Objective(name, goal, worst) for name, (goal, worst) in robust.items()]
    measured = {"size_mb": 1.0, "parameters": 1, "flops": 1.0}
    deaf = Outcome(accuracy=0.5, robust_worst=0.5, at_chance=True, **measured)
    good = Outcome(accuracy=0.9, robust_worst=0.2, **measured)
    records = [TrialRecord(0, "complete", {}, deaf), TrialRecord(1, "complete", {}, good)]
    assert Front(records, axes).members == (1,)
    assert Front(records, axes).broken(deaf) == ["better than chance"]
    assert Front(records, axes[:1]).broken(deaf) == []  # accuracy alone puts it in its place
    with pytest.raises(NoFeasibleStudent, match="0 of 1 trials are better than chance"):
        Front(records[:1], axes).require()
    objectives = {name: {"goal": goal, "reference": w} for name, (goal, w) in robust.items()}
    spec = spec_of({"objectives": objectives})
    assert [constraints(r, spec) for r in records] == [
        {"better than chance": 1.0},
        {"better than chance": 0.0},
    ]
    assert constraints(records[0], spec_of({})) == {}
