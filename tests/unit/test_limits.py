"""Limits of time, and whether a cluster's nodes see the storage; with stand-ins for both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.toy_study import asker, finish, spec_of
from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.folder import StudyFolder
from tune_distill.launch import limits
from tune_distill.launch.limits import Hours, OverTime, check_time
from tune_distill.launch.nodes import Node, require_server, require_shared
from tune_distill.launch.resume import differences
from tune_distill.launch.streak import Streak
from tune_distill.launch.worker import _line
from tune_distill.record import Rung, TrialRecord


def rung(epoch: int) -> Rung:
    return Rung(epoch, epoch, 0.5, {}, 1.0)


def test_a_trial_over_its_time_stops_and_says_how_far_it_came():
    with pytest.raises(OverTime) as caught:
        check_time(5.0, 330.0, rung(2), {"train.epochs": 4})
    assert str(caught.value) == (
        "stopped after epoch 2 of 4: 5.5 minutes, over resources.max_minutes_per_trial = 5"
    )


@pytest.mark.parametrize(
    ("limit", "seconds", "epoch"),
    [
        (None, 1e9, 1),  # no limit
        (5.0, 300.0, 1),  # just within
        (5.0, 1e9, 4),  # its training is over, only its measures are left
    ],
)
def test_a_trial_goes_on_within_its_time_and_at_its_last_epoch(limit, seconds, epoch):
    check_time(limit, seconds, rung(epoch), {"train.epochs": 4})


def test_a_training_that_a_budget_of_compute_ends_sooner_is_not_stopped_at_its_own_end():
    shorter = Rung(2, 20, 0.5, {}, 330.0, planned=20)
    check_time(5.0, 330.0, shorter, {"train.epochs": 4})
    with pytest.raises(OverTime):
        check_time(5.0, 330.0, Rung(2, 20, 0.5, {}, 330.0, planned=40), {"train.epochs": 4})


def test_no_trial_starts_after_the_hours_of_a_search(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    spec = spec_of(max_hours=0.5, trials=9)
    hours = Hours(spec)
    one = asker(StudyFolder(tmp_path), spec, late=hours.over)
    draw = one.suggest("a")
    assert draw["number"] == 0
    now += 1801.0
    assert one.suggest("b") == "FINISHED"
    finish(one, "a", draw)  # what runs may finish
    assert one.study.get_trials()[0].state.name == "COMPLETE"
    assert hours.said(1) == (
        "search.max_hours = 0.5 is over after 1 of 9 trials; the same command goes on"
    )
    assert not Hours(spec_of()).over()


def test_limits_of_time_may_change_between_two_runs():
    old = {"name": "toy", "search": {"trials": 3}}
    limited = {"name": "toy", "search": {"trials": 3, "max_hours": 1.0}}
    assert differences(old, limited | {"resources": {"max_minutes_per_trial": 2.0}}) == []


@pytest.mark.parametrize(
    ("section", "key"), [("search", "max_hours"), ("resources", "max_minutes_per_trial")]
)
def test_a_limit_of_nothing_is_refused(section, key):
    with pytest.raises(SpecError, match=rf"{section}.{key}: Input should be greater than 0"):
        spec_of({section: {key: 0.0}})


NODES = [Node("a", "head (10.0.0.1)"), Node("b", "w1 (10.0.0.2)"), Node("c", "w2 (10.0.0.3)")]


def test_a_folder_that_a_node_does_not_see_is_refused_with_the_node(tmp_path):
    def look(nodes, file: Path):
        assert file.is_file()  # while it is looked for
        return [node.id == "a" for node in nodes]

    with pytest.raises(SpecError, match=r"2 of the cluster's 3 nodes \(w1 \(10.0.0.2\), w2") as got:
        require_shared(tmp_path, NODES, look)
    assert "mounted under the same path on every node" in str(got.value)
    assert list(tmp_path.iterdir()) == []  # the marker is gone


def test_a_folder_that_all_nodes_see_is_fine(tmp_path):
    require_shared(tmp_path, NODES, lambda nodes, file: [file.is_file() for _ in nodes])
    assert list(tmp_path.iterdir()) == []


def test_a_single_machine_is_not_asked(tmp_path):
    def look(nodes, file):
        raise AssertionError

    require_shared(tmp_path, NODES[:1], look)


@pytest.mark.parametrize("uri", [None, "sqlite:////data/mlflow.db"])
def test_a_search_on_several_nodes_needs_a_server_for_its_runs(uri):
    with pytest.raises(SpecError, match=r"cluster of 3 nodes needs --tracking-uri http://"):
        require_server(uri, NODES)
    require_server(uri, NODES[:1])
    require_server("http://mlflow:5000", NODES)
    require_server("databricks", NODES)


def test_a_gpu_without_room_fails_a_trial_and_ten_in_a_row_the_search():
    full = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 1 GiB"
    )
    reason = _line(full)
    assert (
        reason
        == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB"
    )
    streak, shared = Streak(), {"train.batch_size": 64}
    for number in range(9):  # others of the space may well fit
        streak.ended(TrialRecord(number, "failed", shared | {"n": number}, reason=reason))
    with pytest.raises(
        TuneDistillError, match=r"10 trials in a row.*they share train.batch_size=64"
    ):
        streak.ended(TrialRecord(9, "failed", shared, reason=reason))
