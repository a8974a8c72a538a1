"""Optuna's samplers behind a study: legal, seeded, resumed, fitted to the budget."""

from __future__ import annotations

import copy

import pytest
from optuna.samplers import NSGAIISampler

from tests.toy_study import DOCUMENT, asker, run_some, spec_of
from tune_distill.errors import SpecError
from tune_distill.folder import StudyFolder
from tune_distill.searcher import samplers

EVERY = ["tpe", "ehvi", "nsga2", "nsga3", "gp", "random", "qmc"]
LATER = {
    "ehvi": 12,
    "nsga3": 30,
    "gp": 13,
    "qmc": 30,
}  # trials; ehvi draws 4 at random first, gp 10


@pytest.mark.parametrize("kind", LATER)
def test_a_sampler_draws_legal_points_of_a_conditional_space(tmp_path, kind):
    one = asker(StudyFolder(tmp_path), spec_of(sampler=kind))
    drawn = run_some(one, LATER[kind])
    assert {params["method"] for params in drawn} == {"finetune", "kd"}
    for params in drawn:
        assert params["student.hidden_size"] % params["student.heads"] == 0
        assert ("method.kd.temperature" in params) == (params["method"] == "kd")
    assert one.error is None


@pytest.mark.parametrize("kind", EVERY)
def test_a_seed_gives_the_same_draws_and_another_seed_others(tmp_path, kind):
    def draws(name: str, seed: int) -> list[float]:
        (tmp_path / name).mkdir()
        spec = spec_of(sampler=kind, seed=seed)
        found = run_some(asker(StudyFolder(tmp_path / name), spec), 3)
        found += run_some(asker(StudyFolder(tmp_path / name), spec), 3)  # after a resume
        return [params["train.learning_rate"] for params in found]

    first = draws("a", 1)
    assert first == draws("b", 1)
    assert len({*first, *draws("c", 2)}) == 12  # and a resumed search repeats nothing


def test_sobols_sequence_goes_on_where_an_interrupted_search_left_it(tmp_path):
    space = copy.deepcopy(DOCUMENT["space"]) | {"method": "finetune"}
    space["student"] = {"layers": {"int": [1, 6]}, "hidden_size": [16, 24], "heads": 2}
    spec = spec_of({"space": space}, sampler="qmc")
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = run_some(asker(StudyFolder(tmp_path / "whole"), spec), 9)
    parts = [p for _ in range(3) for p in run_some(asker(StudyFolder(tmp_path / "parts"), spec), 3)]
    assert whole == parts


@pytest.mark.parametrize(
    ("trials", "size"),
    [(1, 8), (40, 8), (41, 8), (60, 12), (100, 20), (250, 50), (9999, 50)],  # a fifth; 8 to 50
)
def test_a_generation_is_a_fifth_of_the_budget(trials, size):
    assert samplers.population(trials) == size
    made = samplers.sampler(spec_of(sampler="nsga2", trials=trials), 0)
    assert isinstance(made, NSGAIISampler)
    assert made.population_size == size


@pytest.mark.parametrize("kind", ["nsga2", "nsga3"])
def test_a_usual_budget_is_bred_and_not_all_drawn_at_random(tmp_path, kind):
    one = asker(StudyFolder(tmp_path), spec_of(sampler=kind, trials=40))
    run_some(one, 18)
    name = {"nsga2": "NSGAIISampler", "nsga3": "NSGAIIISampler"}[kind]
    born = [t.system_attrs.get(f"{name}:generation") for t in one.study.get_trials()]
    told = [g for g, t in zip(born, one.study.get_trials(), strict=True) if t.values]
    assert told == [0] * 8 + [1] * 8 + [2] * 2  # of 8 trials each


@pytest.mark.parametrize("kind", ["gp", "qmc"])
def test_a_sampler_without_its_package_is_refused_with_the_reason(monkeypatch, kind):
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    with pytest.raises(SpecError, match=rf"search.sampler: {kind} needs the package scipy"):
        samplers.sampler(spec_of(sampler=kind), 0)
    samplers.sampler(spec_of(sampler="nsga3"), 0)  # needs nothing more
