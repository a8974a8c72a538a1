"""Samplers by the names of `search.sampler`: all multi-objective, all seeded.

ehvi     ours: Gaussian processes of what is learned, sizes as they are known (`ehvi.py`)
tpe      independent Parzen estimators; conditional spaces are its own
nsga2    non-dominated sorting, crowding; generations of a fifth of the budget, 8 to 50 trials:
         with Optuna's 50 most of a usual budget would be the first generation, drawn at random
nsga3    the same towards reference points; for four objectives and more
gp       Gaussian processes on expected hypervolume improvement; a second a draw and more
random   each draw by itself
qmc      Sobol's sequence, scrambled by the study's seed; a resumed search goes on in it

gp and qmc know no conditional parameters: those that not every trial has, as the knobs of one of
several methods, are drawn at random.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from tune_distill.errors import SpecError
from tune_distill.searcher.draws import Infeasible
from tune_distill.searcher.ehvi import EHVI
from tune_distill.searcher.promise import Known
from tune_distill.searcher.tpe import TPE
from tune_distill.spec import StudySpec

LEAST, MOST, GENERATIONS = 8, 50, 5  # of a generation's trials; in a budget
NEEDS = {"gp": "scipy", "qmc": "scipy"}  # what Optuna itself doesn't ask for
STATIC = ("gp", "qmc")  # draw conditional parameters at random


def sampler(
    spec: StudySpec,
    trials: int,
    known: Known = lambda _: {},
    infeasible: Infeasible = lambda _: [],
) -> BaseSampler:
    """The study's sampler, its seed of (the study's seed, the trials so far).

    With the study's seed alone a resumed search would repeat its first draws.

    Args:
        spec: the study.
        trials: so far.
        known: what a draw measures whatever it learns, for `ehvi`.
        infeasible: the reasons why a draw must not be trained, for `ehvi`.

    Raises:
        SpecError: the sampler needs a package that isn't installed.
    """
    name = spec.search.sampler
    if (package := NEEDS.get(name)) and find_spec(package) is None:
        raise SpecError(
            f"search.sampler: {name} needs the package {package}, which is not installed; "
            f"install {package}, or use tpe, nsga2, nsga3 or random"
        )
    seed = int(np.random.SeedSequence([spec.search.seed, trials]).generate_state(1)[0])
    if name == "ehvi":
        return EHVI(spec, known, infeasible, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # NSGA-III since 3.2, QMC since 3.0
        return _MADE[name](spec, seed)


def population(trials: int) -> int:
    """Of a generation, for a budget of so many trials."""
    return min(MOST, max(LEAST, trials // GENERATIONS))


def _qmc(spec: StudySpec, seed: int) -> BaseSampler:
    return QMCSampler(
        scramble=True,
        seed=spec.search.seed,  # the study remembers the place in this seed's sequence
        independent_sampler=RandomSampler(seed=seed),
        warn_independent_sampling=False,
    )


_MADE: dict[str, Callable[[StudySpec, int], BaseSampler]] = {
    "tpe": lambda spec, seed: TPE(seed) if len(spec.axes) > 1 else TPESampler(seed=seed),
    "nsga2": lambda spec, seed: NSGAIISampler(
        population_size=population(spec.search.trials), seed=seed
    ),
    "nsga3": lambda spec, seed: NSGAIIISampler(
        population_size=population(spec.search.trials), seed=seed
    ),
    "gp": lambda spec, seed: GPSampler(seed=seed, warn_independent_sampling=False),
    "random": lambda spec, seed: RandomSampler(seed=seed),
    "qmc": _qmc,
}
