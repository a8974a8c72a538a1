"""The sampler `ehvi`: of some hundred draws the one that promises the most (`promise.py`).

Candidates are draws of the whole space, and draws next to the front: a member's knobs, of which
some are moved or drawn anew. The first trials, and a few later ones, are drawn at random.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from tune_distill.searcher.draws import Infeasible, key, reaches
from tune_distill.searcher.gaussian import one_thread
from tune_distill.searcher.promise import Promise
from tune_distill.searcher.seen import Seen
from tune_distill.space import (
    Distribution,
    LogUniform,
    Params,
    Scalar,
    Space,
    Suggest,
    Uniform,
    at_random,
)
from tune_distill.spec import StudySpec

CURVE = "curve"  # the attribute that a trial's accuracies are kept in
INITIAL = 4  # trials at random
EVERY = 0.05  # of the others: at random, whatever the models say
RANDOM, NEAR = 600, 60  # candidates: of the whole space, next to each member of the front
KEPT = 0.75  # of a member's knobs
STEP = 0.1  # of its width, by which a range's value is moved: standard deviation


class EHVI(BaseSampler):
    """Draws what promises the largest expected hypervolume improvement; for one study.

    Args:
        spec: the study.
        known: what a draw measures whatever it learns.
        infeasible: the reasons why a draw must not be trained.
        seed: of the draws.
    """

    def __init__(
        self,
        spec: StudySpec,
        known: Callable[[Params], Mapping[str, float]],
        infeasible: Infeasible,
        seed: int,
    ) -> None:
        self._spec, self._space, self._infeasible = spec, spec.search_space, infeasible
        self._promise = Promise(self._space, spec.axes, spec.bounds, known)
        self._rng, self._random = random.Random(seed), RandomSampler(seed=seed)
        self._chosen: dict[int, Params] = {}  # by the number of the trial that is being drawn
        self._ended: dict[int, Seen] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Chooses all values of a trial; not of one whose values are given."""
        if "fixed_params" not in trial.system_attrs:
            with one_thread():
                self._chosen = {trial.number: self._choose(self._seen(study))}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:  # noqa: ANN401 - Optuna's
        """The value that was chosen; one at random for what a trial that was given leaves open."""
        if trial.number in self._chosen:
            return self._chosen[trial.number][param_name.partition("|")[0]]
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing: `before_trial` has chosen."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing, either."""
        return {}

    def _choose(self, seen: Sequence[Seen]) -> Params:
        drawn = self._space.draw(at_random(self._rng))
        ended = sum(trial.final is not None for trial in seen)
        if ended < INITIAL or self._rng.random() < EVERY:
            return drawn
        tried = {key(trial.params, self._spec) for trial in seen}
        front = self._promise.look(seen, self._rng)
        worth = [
            one
            for one in candidates(self._space, front, self._rng)
            if key(one, self._spec) not in tried and not self._infeasible(one)
        ]
        return worth[int(self._promise.gains(worth).argmax())] if worth else drawn

    def _seen(self, study: Study) -> list[Seen]:
        """The trials that have ended, each read once, and those in flight."""
        running = []
        for trial in study._get_trials(deepcopy=False):
            if trial.number in self._ended:
                continue
            if not trial.state.is_finished():
                if "params" in trial.user_attrs:  # it has been handed out
                    running.append(Seen(trial.user_attrs["params"], running=True))
            elif trial.values is not None or "params" in trial.user_attrs:
                self._ended[trial.number] = self._read(trial)
        return [*self._ended.values(), *running]

    def _read(self, trial: FrozenTrial) -> Seen:
        params = trial.user_attrs.get("params")
        if params is None:  # a point of `search.from`
            params = self._space.draw(lambda name, _: trial.params[name])
        names = [axis.name for axis in self._spec.axes]
        return Seen(
            params,
            final=dict(zip(names, trial.values, strict=True)) if trial.values else None,
            curve=trial.user_attrs.get(CURVE, ()),
            allowed=all(excess <= 0 for excess in trial.constraints.values()),
            failed=trial.state == TrialState.FAIL,
        )


def candidates(space: Space, front: Sequence[Params], rng: random.Random) -> list[Params]:
    """Draws to choose from."""
    drawn = [space.draw(at_random(rng)) for _ in range(RANDOM)]
    return drawn + [space.draw(near(one, rng)) for one in front for _ in range(NEAR)]


def near(params: Params, rng: random.Random) -> Suggest:
    """A `suggest` that stays close to a draw."""
    anew = at_random(rng)

    def suggest(name: str, distribution: Distribution) -> Scalar:
        value: Scalar = params.get(name.partition("|")[0])
        if not reaches(distribution, value):
            return anew(name, distribution)
        if rng.random() < KEPT:
            return value
        if not isinstance(distribution, Uniform) or rng.random() < 0.5:
            return anew(name, distribution)
        low, high, step = distribution.low, distribution.high, rng.gauss(0, STEP)
        if isinstance(distribution, LogUniform):
            moved = float(value or 0) * math.exp(step * math.log(high / low))
        else:
            moved = float(value or 0) + (high - low) * step
        return min(max(moved, low), high)

    return suggest
