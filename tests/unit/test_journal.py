"""The study's journal as Optuna's own storage reads it, and so optuna-dashboard."""

from __future__ import annotations

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from tests.toy_study import asker, finish, spec_of
from tune_distill.folder import StudyFolder
from tune_distill.searcher import open_study


@pytest.fixture
def loaded(tmp_path):
    """A search of three trials, one of each kind, opened by Optuna alone; with the draws."""
    folder, spec = StudyFolder(tmp_path), spec_of()
    one = asker(folder, spec)
    draws = [one.suggest(name) for name in "abc"]
    finish(one, "a", draws[0], accuracy=0.9, size_mb=7.0)
    one.on_trial_complete("b", result={"final": False, "epoch": 2, "accuracy": 0.6})
    one.on_trial_complete("c", result=None, error=True)
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage), draws


def test_it_opens_under_the_studys_name_with_named_directions(loaded):
    study, _ = loaded
    assert study.study_name == "toy"
    assert study.metric_names == ["accuracy", "size_mb"]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]


def test_its_trials_have_their_numbers_states_and_values(loaded):
    study, _ = loaded
    assert [t.number for t in study.trials] == [0, 1, 2]
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert [t.values for t in study.trials] == [[0.9, 7.0], None, None]
    assert [t.number for t in study.best_trials] == [0]


def test_its_trials_have_the_knobs_that_were_drawn(loaded):
    study, draws = loaded
    for trial, draw in zip(study.trials, draws, strict=True):
        assert trial.user_attrs["params"] == draw["params"]
        drawn = {name: draw["params"][name] for name in trial.params}
        assert trial.params == drawn
        assert {"student.layers", "method", "train.learning_rate"} <= drawn.keys()


def test_a_search_sees_in_it_what_optunas_storage_sees(tmp_path):
    study = open_study(StudyFolder(tmp_path), spec_of())
    theirs = JournalStorage(JournalFileBackend(str(StudyFolder(tmp_path).journal)))

    def same():
        for states in (None, (TrialState.WAITING,), (TrialState.COMPLETE, TrialState.FAIL)):
            asked = {"deepcopy": False, "states": states}
            seen = study._storage.get_all_trials(study._study_id, **asked)
            assert seen == theirs.get_all_trials(study._study_id, **asked)
        return [trial.state.name for trial in seen]

    assert same() == []
    for layers in (1, 2, 3):
        study.enqueue_trial({"student.layers": layers})
        same()
    running = [study.ask(), study.ask()]
    same()
    study.tell(running[1], [0.5, 3.0])
    assert same() == ["COMPLETE"]
    running.append(study.ask())
    assert running[2].suggest_int("student.layers", 1, 6) == 3
    study.tell(running[0], state=TrialState.FAIL)
    assert same() == ["FAIL", "COMPLETE"]
