"""The sampler `ehvi` behind a study: what it draws, of what it knows."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from tests.toy_study import file, spec_of
from tune_distill import pareto
from tune_distill.folder import StudyFolder
from tune_distill.outcome import losses, reference_losses
from tune_distill.record import Rung, TrialRecord
from tune_distill.searcher import AskTell, ehvi, open_study
from tune_distill.searcher.draws import key, through
from tune_distill.space import Params, at_random

SPACE = spec_of().search_space


def sizes(params: Params) -> dict[str, float]:
    return {"size_mb": 10.0 * float(params["student.layers"] or 0)}


def accuracy(params: Params) -> float:
    rate = math.log10(float(params["train.learning_rate"] or 0))
    bonus = 0.05 if params["method"] == "kd" else 0.0
    return 0.6 + 0.03 * float(params["student.layers"] or 0) + bonus - 0.2 * abs(rate + 4)


def narrow(params: Params) -> list[str]:
    return ["too narrow"] if params["student.hidden_size"] == 16 else []


def asker(folder: StudyFolder, **search: Any) -> AskTell:
    spec = spec_of(**search)
    study = open_study(folder, spec, sizes, narrow)

    def unfiled(trial_id: str, draw: Any, state: Any) -> TrialRecord:
        raise AssertionError(trial_id)

    return AskTell(study, spec, folder, infeasible=narrow, unfiled=unfiled)


def searched(folder: StudyFolder, trials: int, **search: Any) -> list[Params]:
    """The draws of a search whose students are worth what the formulas say."""
    one, draws = asker(folder, **search), []
    for i in range(trials):
        draw = one.suggest(f"t{i}")
        assert isinstance(draw, dict), one.error
        record = file(folder, draw, accuracy=accuracy(draw["params"]), **sizes(draw["params"]))
        one.on_trial_complete(f"t{i}", {"record": json.dumps(record.to_json())})
        draws.append(draw["params"])
    return draws


def volume(folder: StudyFolder) -> float:
    axes = spec_of().axes
    table = losses([r.outcome for r in folder.records() if r.outcome], axes)
    return pareto.hypervolume(table, reference_losses(axes))


def test_it_finds_more_than_random_draws_do(tmp_path):
    found: dict[str, list[float]] = {"ehvi": [], "random": []}
    for name, volumes in found.items():
        for seed in range(3):
            folder = StudyFolder(tmp_path / f"{name}{seed}")
            folder.path.mkdir()
            searched(folder, 30, sampler=name, seed=seed)
            volumes.append(volume(folder))
    # kd at 1e-4, for each number of layers: (0.15 + 0.03 n) by 10 MB, or the rest for the largest
    best = sum(10.0 * (0.15 + 0.03 * n) for n in range(1, 6)) + 40.0 * (0.15 + 0.03 * 6)
    assert min(found["ehvi"]) > 0.93 * best
    assert min(found["ehvi"]) > max(found["random"])


def test_after_its_start_every_draw_can_be_trained_and_is_new(tmp_path):
    one, draws = asker(StudyFolder(tmp_path), sampler="ehvi"), []
    for i in range(25):
        draw = one.suggest(f"t{i}")
        assert isinstance(draw, dict), one.error
        draws.append(draw["params"])
        if i == ehvi.INITIAL:
            refused = dict(one.rejected)
        if i < 20:  # the last five are in flight together
            record = file(one.folder, draw, accuracy=accuracy(draw["params"]), **sizes(draws[-1]))
            one.on_trial_complete(f"t{i}", {"record": json.dumps(record.to_json())})
    assert refused["infeasible"] > 0  # while it drew at random
    assert one.rejected["infeasible"] - refused["infeasible"] <= 3  # of the twentieth at random
    assert len({key(params, one.spec) for params in draws}) == 25


def test_a_search_goes_on_with_what_a_stopped_or_failed_trial_taught(tmp_path):
    spec = spec_of(sampler="ehvi")
    one = asker(StudyFolder(tmp_path), sampler="ehvi")
    for i in range(14):
        draw = one.suggest(f"t{i}")
        assert isinstance(draw, dict), one.error
        params = draw["params"]
        rungs = tuple(
            Rung(epoch, epoch, accuracy(params) - 0.1 / epoch, {}, seconds=1.0, planned=3)
            for epoch in (1, 2, 3)
        )
        state = {12: "pruned", 13: "failed"}.get(i, "complete")
        record = file(one.folder, draw, accuracy=accuracy(params), **sizes(params))
        kept = rungs[: 1 if state == "pruned" else 3]
        outcome = record.outcome if state == "complete" else None
        record = TrialRecord(draw["number"], state, params, outcome, kept)
        one.folder.write(record)
        one.on_trial_complete(f"t{i}", {"record": json.dumps(record.to_json())})
    again = open_study(one.folder, spec, sizes, narrow)
    (one.folder.path / "journal.log").unlink()
    rebuilt = open_study(one.folder, spec, sizes, narrow)
    for study in (again, rebuilt):
        seen = study.sampler._seen(study)
        assert [t.failed for t in seen[-2:]] == [False, True]
        assert [t.final is None for t in seen[-3:]] == [False, True, True]
        assert len(seen[-2].curve) == 1
        assert seen[-2].curve[0][0] == pytest.approx(1 / 3)  # of its training
    assert isinstance(asker(one.folder, sampler="ehvi").suggest("next"), dict)


def test_what_a_given_trial_leaves_open_is_drawn_legally(tmp_path):
    spec = spec_of(sampler="ehvi")
    study = open_study(StudyFolder(tmp_path), spec, sizes, narrow)
    for i in range(30):
        study.enqueue_trial({"method": "kd", "student.hidden_size": (16, 24)[i % 2]})
        params = spec.search_space.draw(through(study.ask()))
        assert (params["method"], params["student.hidden_size"]) == ("kd", (16, 24)[i % 2])
        assert params["student.hidden_size"] % params["student.heads"] == 0
        assert 1.0 <= params["method.kd.temperature"] <= 10.0


def test_neighbours_of_a_draw_are_legal_and_mostly_alike():
    rng = random.Random(0)
    draw = SPACE.draw(at_random(rng))
    near = [SPACE.draw(ehvi.near(draw, rng)) for _ in range(400)]
    for one in near:
        assert one["student.hidden_size"] % one["student.heads"] == 0
        assert 1e-5 <= one["train.learning_rate"] <= 1e-3
        assert ("method.kd.temperature" in one) == (one["method"] == "kd")
    same = np.mean([one["student.layers"] == draw["student.layers"] for one in near])
    assert same == pytest.approx(
        ehvi.KEPT + (1 - ehvi.KEPT) / 6, abs=0.06
    )  # or drawn again: 1 of 6
