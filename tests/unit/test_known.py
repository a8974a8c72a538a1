"""A warm start: an earlier study's trials as points that the sampler knows, and nothing more."""

from __future__ import annotations

import copy

import pytest
from optuna.trial import TrialState

from tests.toy_study import DOCUMENT, asker, begun, run_some, spec_of
from tune_distill.errors import SpecError
from tune_distill.outcome import Outcome
from tune_distill.record import TrialRecord
from tune_distill.searcher import add_known, open_study
from tune_distill.searcher.known import misfit


@pytest.fixture
def old(tmp_path):
    """A study of six complete trials and one that failed."""
    folder = begun(tmp_path / "old", sampler="random", seed=5)
    one = asker(folder, spec_of(sampler="random", seed=5))
    run_some(one, 6)
    one.suggest("lost")
    one.on_trial_complete("lost", None, error=True)
    return folder


def warm(folder, spec):
    """The Optuna study of a search that starts warm, and what was said."""
    study, lines = open_study(folder, spec), []
    add_known(study, folder, spec, lines.append)
    return study, lines


def test_complete_trials_are_known_marked_and_told_in_one_line(tmp_path, old):
    spec = spec_of(**{"from": "old"})
    study, lines = warm(begun(tmp_path / "new"), spec)
    trials, records = study.get_trials(), old.records()[:6]
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 6
    assert [t.values for t in trials] == [
        [r.outcome.accuracy, r.outcome.size_mb] for r in records if r.outcome
    ]
    assert [t.user_attrs for t in trials] == [{"known": [str(old.path), n]} for n in range(6)]
    assert lines == [f"search.from: the sampler knows 6 of 6 complete trials of {old.path}"]


def test_known_points_cost_no_budget_and_are_no_trials(tmp_path, old):
    spec, folder = spec_of(**{"from": str(old.path)}), begun(tmp_path / "new")
    warm(folder, spec)
    one = asker(folder, spec)
    assert folder.records() == []
    assert one.rejected == {"infeasible": 0, "duplicate": 0}
    draw = one.suggest("a")
    assert draw["number"] == 6  # Optuna's numbers go on
    assert [r.number for r in old.records()] == list(range(7))  # nothing was written there


def test_a_resumed_search_takes_new_points_only(tmp_path, old):
    spec, folder = spec_of(**{"from": "old"}), begun(tmp_path / "new")
    warm(folder, spec)
    run_some(asker(folder, spec), 2)
    study, lines = warm(folder, spec)
    assert (len(study.get_trials()), lines) == (8, [])
    run_some(asker(old, spec_of(sampler="random", seed=5)), 1)  # the earlier study goes on
    study, lines = warm(folder, spec)
    assert len(study.get_trials()) == 9
    assert "knows 7 of 7" in lines[0]


def test_published_settings_are_still_the_first_trials(tmp_path, old):
    spec = spec_of(**{"from": "old", "enqueue": ["kd:sst2"]})
    folder = begun(tmp_path / "new")
    warm(folder, spec)
    assert asker(folder, spec).suggest("a")["params"]["train.learning_rate"] == 6e-5


def test_what_does_not_fit_is_left_out_and_counted_by_its_reason(tmp_path, old):
    space = copy.deepcopy(DOCUMENT["space"])
    space["student"]["layers"] = {"int": [1, 3]}
    spec = spec_of({"space": space}, **{"from": "old"})
    study, lines = warm(begun(tmp_path / "new"), spec)
    deep = sum(int(r.params["student.layers"]) > 3 for r in old.records()[:6])
    assert 0 < deep < 6
    assert len(study.get_trials()) == 6 - deep
    assert lines == [
        f"search.from: the sampler knows {6 - deep} of 6 complete trials of {old.path}; "
        f"the others don't fit: student.layers is outside of the space ({deep})"
    ]


def one_of(old, method="kd"):
    return next(r for r in old.records() if r.params.get("method") == method)


@pytest.mark.parametrize(
    ("section", "key", "value", "reason"),
    [
        ("train", "epochs", 4, "train.epochs is outside of the space"),  # a constant
        ("train", "epochs", [2, 3], ""),  # a choice that has it
        ("train", "learning_rate", {"log": [1.0, 2.0]}, "train.learning_rate is outside"),
        ("student", "hidden_size", [32], "student.hidden_size is outside of the space"),
        ("method", "kd", {"temperature": 99.0}, "method.kd.temperature is outside of the space"),
        ("method", "kd", None, "method is outside of the space"),
        ("method", "pkd", {}, ""),  # one method more
    ],
)
def test_a_trial_fits_where_the_space_could_draw_it(old, section, key, value, reason):
    space = copy.deepcopy(DOCUMENT["space"])
    if value is None:
        del space[section][key]
    else:
        space[section][key] = value
    found = misfit(one_of(old), spec_of({"space": space}))
    assert found.startswith(reason) if reason else found == ""


def test_a_trial_without_one_of_the_objectives_is_not_known(old):
    objectives = {"accuracy": DOCUMENT["objectives"]["accuracy"]}
    spec = spec_of({"objectives": objectives | {"robust_worst": {"goal": "max", "reference": 0.0}}})
    assert misfit(one_of(old), spec) == "robust_worst was not measured"
    assert misfit(one_of(old), spec_of({"objectives": objectives})) == ""  # fewer will do


def test_points_of_another_task_and_a_sampler_that_learns_nothing_are_said(tmp_path, old):
    task = {"builtin": "reviews", "seed": 1}
    spec = spec_of({"task": task}, **{"from": "old", "sampler": "nsga2"})
    _, (line,) = warm(begun(tmp_path / "new"), spec)
    told = "; they are of another task; nsga2 learns nothing from them, ehvi and tpe would"
    assert line.endswith(told)


def test_constraints_hold_for_known_points_too(tmp_path, old):
    spec = spec_of({"constraints": ["accuracy >= 0.75"]}, **{"from": "old"})
    study, _ = warm(begun(tmp_path / "new"), spec)
    assert [t.constraints["accuracy >= 0.75"] for t in study.get_trials()] == [
        pytest.approx(0.75 - t.values[0]) for t in study.get_trials()
    ]


def test_a_study_that_is_not_there_and_the_study_itself_are_refused(tmp_path, old):
    with pytest.raises(SpecError, match=r"search.from: odl is no study of .*studies there: old"):
        warm(begun(tmp_path / "new"), spec_of(**{"from": "odl"}))
    with pytest.raises(SpecError, match="is this study itself"):
        warm(old, spec_of(**{"from": "old"}))


def test_a_misspelt_key_of_search_is_offered_from_by_its_own_name():
    with pytest.raises(SpecError, match=r"did you mean from\?"):
        spec_of(frm="old")


def test_a_trial_of_other_knobs_altogether_does_not_fit():
    record = TrialRecord(0, "complete", {}, Outcome(0.5, 1.0, 1, 1.0))
    assert misfit(record, spec_of()).endswith("is outside of the space")
