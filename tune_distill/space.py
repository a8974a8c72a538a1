"""What can be searched: distributions, divisors, conditional branches, and how one draw is made.

A `Space` knows nothing of Optuna: `draw(suggest)` walks it in the order of the YAML and asks
`suggest(name, distribution)` for each value, so that the same space serves the searcher, a plain
random draw and a test. What is drawn is flat and dotted, as MLflow shows it:

    {"student.layers": 2, "student.heads": 4, "method": "kd", "method.kd.temperature": 3.1, ...}
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Scalar = str | int | float | bool | None
Params = dict[str, Scalar]


@dataclass(frozen=True)
class Constant:
    """Always this value; never asked of the sampler."""

    value: Scalar

    def ends(self) -> tuple[Scalar, ...]:
        """The values whose validity decides that of all."""
        return (self.value,)


@dataclass(frozen=True)
class Uniform:
    """A float, uniform on [low, high]."""

    low: float
    high: float

    def ends(self) -> tuple[Scalar, ...]:
        """The values whose validity decides that of all."""
        return (self.low, self.high)


@dataclass(frozen=True)
class LogUniform(Uniform):
    """A float whose logarithm is uniform on [log low, log high]."""


@dataclass(frozen=True)
class IntRange:
    """An integer of {low, low + step, ..., high}."""

    low: int
    high: int
    step: int = 1

    def ends(self) -> tuple[Scalar, ...]:
        """The values whose validity decides that of all."""
        return (self.low, self.high)


@dataclass(frozen=True)
class Choice:
    """One of `values`, in no order."""

    values: tuple[Scalar, ...]

    def ends(self) -> tuple[Scalar, ...]:
        """The values whose validity decides that of all."""
        return self.values


Distribution = Constant | Uniform | LogUniform | IntRange | Choice
Suggest = Callable[[str, Distribution], Scalar]


@dataclass(frozen=True)
class Divisors:
    """One of the `among` that divide the parameter `of`, drawn earlier.

    Sampling only legal head counts keeps failed trials out of the sampler's model. Each set of
    legal values is a parameter of its own name, because a sampler may not see one name with two
    sets of choices.
    """

    among: tuple[int, ...]
    of: str

    def legal(self, dividend: int) -> tuple[int, ...]:
        """The values that divide `dividend`."""
        return tuple(v for v in self.among if dividend % v == 0)

    def draw(self, path: str, params: Params, suggest: Suggest) -> Scalar:
        """A legal value; a name of its own for each set of legal values."""
        legal = self.legal(int(params[self.of] or 0))
        if len(legal) == 1:
            return legal[0]
        name = path if legal == self.among else f"{path}|{'|'.join(map(str, legal))}"
        return suggest(name, Choice(legal))


@dataclass(frozen=True)
class Branch:
    """One of several named options, each with knobs of its own."""

    options: Mapping[str, Mapping[str, Distribution]]

    def draw(self, path: str, suggest: Suggest) -> Params:
        """{path: option} and the option's knobs under `path.option.`."""
        names = tuple(self.options)
        chosen = names[0] if len(names) == 1 else str(suggest(path, Choice(names)))
        params: Params = {path: chosen}
        for knob, distribution in self.options[chosen].items():
            name = f"{path}.{chosen}.{knob}"
            params[name] = _value(name, distribution, suggest)
        return params


@dataclass(frozen=True)
class Space:
    """An ordered set of what can be searched, by dotted path."""

    entries: Mapping[str, Distribution | Divisors | Branch]

    def draw(self, suggest: Suggest) -> Params:
        """One point of the space, flat and dotted."""
        params: Params = {}
        for path, entry in self.entries.items():
            if isinstance(entry, Branch):
                params |= entry.draw(path, suggest)
            elif isinstance(entry, Divisors):
                params[path] = entry.draw(path, params, suggest)
            else:
                params[path] = _value(path, entry, suggest)
        return params

    def at(self, path: str) -> Distribution | Divisors | Branch | None:
        """What a path draws from, a branch's knobs included; None where there is none."""
        if path in self.entries:
            return self.entries[path]
        for above, entry in self.entries.items():
            if isinstance(entry, Branch) and path.startswith(f"{above}."):
                option, _, knob = path.removeprefix(f"{above}.").partition(".")
                return entry.options.get(option, {}).get(knob)
        return None

    def options(self, path: str) -> tuple[str, ...]:
        """The names that the branch at `path` chooses from."""
        branch = self.entries[path]
        return tuple(branch.options) if isinstance(branch, Branch) else ()


def at_random(rng: random.Random) -> Suggest:
    """A `suggest` that draws independently and at random."""

    def suggest(name: str, distribution: Distribution) -> Scalar:
        match distribution:
            case Constant(value):
                return value
            case LogUniform(low, high):
                return math.exp(rng.uniform(math.log(low), math.log(high)))
            case Uniform(low, high):
                return rng.uniform(low, high)
            case IntRange(low, high, step):
                return rng.randrange(low, high + 1, step)
            case Choice(values):
                return rng.choice(values)

    return suggest


def parse(node: Any) -> Distribution:  # noqa: ANN401 - whatever YAML holds
    """A node of a study's `space` as a distribution.

    A scalar is a constant, a list a choice, `{uniform: [a, b]}`, `{log: [a, b]}` and
    `{int: [a, b]}` or `{int: [a, b, step]}` a range.

    Raises:
        ValueError: says what was got and what would work.
    """
    if isinstance(node, list):
        if not node or any(isinstance(v, list | dict) for v in node):
            raise ValueError(f"a choice is a list of one or more plain values, got {node}")
        if len(set(map(repr, node))) < len(node):
            raise ValueError(f"a choice must not repeat a value, got {node}")
        return Choice(tuple(node))
    if isinstance(node, dict):
        return _range(node)
    return Constant(node)


def _range(node: dict[Any, Any]) -> Distribution:
    kinds = "{uniform: [low, high]}, {log: [low, high]} or {int: [low, high]}"
    if len(node) != 1:
        raise ValueError(f"a range has one key, as in {kinds}; got {node}")
    ((kind, ends),) = node.items()
    if kind not in {"uniform", "log", "int"}:
        raise ValueError(f"unknown range {kind!r}; use a list of values, {kinds}")
    numbers = isinstance(ends, list) and all(
        isinstance(v, int if kind == "int" else int | float) and not isinstance(v, bool)
        for v in ends
    )
    lengths = {2, 3} if kind == "int" else {2}
    if not numbers or len(ends) not in lengths:
        what = (
            "integers [low, high] or [low, high, step]" if kind == "int" else "numbers [low, high]"
        )
        raise ValueError(f"{kind} takes {what}, got {ends} (YAML floats need a point: 2.0e-5)")
    if not ends[0] < ends[1]:
        raise ValueError(f"{kind} needs low < high, got {ends}")
    if kind == "log" and ends[0] <= 0:
        raise ValueError(f"log needs low > 0, got {ends}")
    if kind == "int":
        return _int_range(*ends)
    return (LogUniform if kind == "log" else Uniform)(float(ends[0]), float(ends[1]))


def _int_range(low: int, high: int, step: int = 1) -> IntRange:
    if step < 1 or (high - low) % step:
        raise ValueError(f"int needs a step that leads from low to high, got {[low, high, step]}")
    return IntRange(low, high, step)


def _value(name: str, distribution: Distribution, suggest: Suggest) -> Scalar:
    if isinstance(distribution, Constant):
        return distribution.value
    return suggest(name, distribution)
