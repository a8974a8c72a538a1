"""Draws of a space as points: what a model of it can measure distances between."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_distill.space import (
    Branch,
    Choice,
    Constant,
    Distribution,
    Divisors,
    IntRange,
    LogUniform,
    Params,
    Scalar,
    Space,
    Uniform,
)

ABSENT = 0.5  # of an ordered knob that a draw does not have; its branch tells them apart
WIDE = 4.0  # positive choices that far apart are taken by their logarithms, as ranges `log` are


@dataclass(frozen=True)
class _Ordered:
    low: float
    high: float
    logarithmic: bool

    def __call__(self, value: Scalar) -> float:
        if value is None:
            return ABSENT
        low, high, number = self.low, self.high, float(value)
        if self.logarithmic:
            low, high, number = math.log(low), math.log(high), math.log(number)
        return (number - low) / (high - low)


@dataclass(frozen=True)
class _Nominal:
    values: tuple[Scalar, ...]

    def __call__(self, value: Scalar) -> float:
        return float(self.values.index(value)) if value in self.values else -1.0


class Coordinates:
    """A coordinate for each parameter of a space that varies, the knobs of all branches included.

    Numbers are scaled to [0, 1] over their range; all else has no order.
    """

    def __init__(self, space: Space) -> None:
        self._axes = dict(_axes(space))
        self.nominal = np.array([isinstance(axis, _Nominal) for axis in self._axes.values()])

    def of(self, params: Params) -> NDArray[np.float64]:
        """The point of a draw: (coordinates,)."""
        return np.array([axis(params.get(path)) for path, axis in self._axes.items()])


def _axes(space: Space) -> Iterator[tuple[str, _Ordered | _Nominal]]:
    for path, entry in space.entries.items():
        if isinstance(entry, Branch):
            if len(entry.options) > 1:
                yield path, _Nominal(tuple(entry.options))
            for option, knobs in entry.options.items():
                for knob, distribution in knobs.items():
                    yield from _axis(f"{path}.{option}.{knob}", distribution)
        elif isinstance(entry, Divisors):
            yield from _axis(path, Choice(entry.among))
        else:
            yield from _axis(path, entry)


def _axis(path: str, distribution: Distribution) -> Iterator[tuple[str, _Ordered | _Nominal]]:
    match distribution:
        case Constant():
            return
        case LogUniform(low, high):
            yield path, _Ordered(low, high, logarithmic=True)
        case Uniform(low, high) | IntRange(low, high, _):
            yield path, _Ordered(low, high, logarithmic=False)
        case Choice(values):
            numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
            if len(values) < 2:
                return
            if len(numbers) < len(values):
                yield path, _Nominal(values)
            else:
                low, high = min(numbers), max(numbers)
                yield path, _Ordered(low, high, logarithmic=low > 0 and high >= WIDE * low)
