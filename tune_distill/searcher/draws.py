"""A draw of our space through an Optuna trial, define-by-run: one `trial.suggest_*` a parameter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from tune_distill.space import (
    Choice,
    Constant,
    Distribution,
    IntRange,
    LogUniform,
    Params,
    Scalar,
    Space,
    Suggest,
    Uniform,
)
from tune_distill.spec import StudySpec

Infeasible = Callable[[Params], list[str]]  # the reasons why a draw cannot or may not be trained


def through(trial: Trial) -> Suggest:
    """A `suggest` that asks the study's sampler."""

    def suggest(name: str, distribution: Distribution) -> Scalar:
        match distribution:
            case Constant(value):
                return value
            case LogUniform(low, high):
                return trial.suggest_float(name, low, high, log=True)
            case Uniform(low, high):
                return trial.suggest_float(name, low, high)
            case IntRange(low, high, step):
                return trial.suggest_int(name, low, high, step=step)
            case Choice(values):
                return trial.suggest_categorical(name, values)

    return suggest


def reaches(distribution: Distribution, value: Scalar) -> bool:
    """Whether a distribution can draw a value."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match distribution:
        case Uniform(low, high):  # LogUniform is one
            return number and low <= float(value or 0) <= high
        case IntRange(low, high, step):
            return number and value in range(low, high + 1, step)
        case _:
            return value in distribution.ends()


def key(params: Params, spec: StudySpec) -> str:
    """The same text for the same draw; a seed that follows from the number is no part of it."""
    drawn = spec.search_space.entries.get("train.seed") != Constant(None)
    return json.dumps(
        {k: v for k, v in params.items() if drawn or k != "train.seed"}, sort_keys=True
    )


def as_optuna(
    space: Space, params: Mapping[str, Scalar]
) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """What Optuna would have recorded for a draw: its values and distributions, by name.

    The names are the sampler's own: a parameter whose choices depend on another carries them in
    its name (`space.Divisors`).
    """
    values: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}

    def suggest(name: str, distribution: Distribution) -> Scalar:
        value = params[name.partition("|")[0]]
        values[name], distributions[name] = value, _distribution(distribution)
        return value

    space.draw(suggest)
    return values, distributions


def _distribution(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case LogUniform(low, high):
            return FloatDistribution(low, high, log=True)
        case Uniform(low, high):
            return FloatDistribution(low, high)
        case IntRange(low, high, step):
            return IntDistribution(low, high, step=step)
        case _:
            return CategoricalDistribution(distribution.ends())
