"""Our TPE draws what Optuna's does, of the same trials; it only takes less time for it."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from tune_distill.searcher.tpe import TPE

optuna.logging.set_verbosity(optuna.logging.ERROR)


def drawn(
    sampler: TPESampler, directions: list[str], count: int, *, waiting: int
) -> list[dict[str, object]]:
    """The parameters of `count` trials, of which so many are in flight; they end out of order."""
    study = optuna.create_study(directions=directions, sampler=sampler)
    rng, flight, found = np.random.default_rng(0), [], []
    for _ in range(count):
        trial = study.ask()
        draw(trial)
        found.append(trial.params)
        flight.append(trial)
        if len(flight) >= waiting:
            end(study, flight.pop(int(rng.integers(len(flight)))), len(directions), rng)
    return found


def draw(trial: Trial) -> None:
    """A space with a branch, so that some trials lack what others have."""
    trial.suggest_int("layers", 1, 6)
    trial.suggest_categorical("width", [128, 192, 256])
    trial.suggest_float("rate", 1e-5, 1e-2, log=True)
    if trial.suggest_categorical("method", ["kd", "none"]) == "kd":
        trial.suggest_float("alpha", 0.0, 1.0)


def end(study: optuna.Study, trial: Trial, objectives: int, rng: np.random.Generator) -> None:
    """Some fail, some are stopped, some break a constraint, some tie."""
    p = trial.params
    size = p["layers"] * p["width"] / 100
    accuracy = round(0.6 + 0.03 * size / (1 + size) + 0.2 * p.get("alpha", 0.2) * p["rate"], 2)
    match rng.integers(8):
        case 0:
            study.tell(trial, state=TrialState.FAIL)
        case 1:
            study.tell(trial, state=TrialState.PRUNED)
        case _:
            trial.set_constraint("size", size - 8.0)
            study.tell(trial, [accuracy, size, p["rate"]][:objectives])


@pytest.mark.parametrize("directions", [["maximize", "minimize"], ["maximize"] * 3])
@pytest.mark.parametrize("waiting", [1, 4])
def test_the_draws_are_those_of_optunas_sampler(directions, waiting):
    ours = drawn(TPE(seed=3), directions, 90, waiting=waiting)
    theirs = drawn(TPESampler(seed=3), directions, 90, waiting=waiting)
    assert ours == theirs
    assert len({tuple(params) for params in ours}) == 2  # with alpha, and without


def test_the_draws_are_the_same_when_there_are_hundreds_of_trials():
    ours = drawn(TPE(seed=5), ["maximize", "minimize"], 400, waiting=3)
    theirs = drawn(TPESampler(seed=5), ["maximize", "minimize"], 400, waiting=3)
    assert ours == theirs
