"""Bounds on a student's measures, as in `size_mb <= 60`: constraints, and `export --where`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tune_distill.outcome import MEASURES, Outcome
from tune_distill.spec.problems import did_you_mean

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_BOUND = re.compile(
    r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*", re.ASCII
)


@dataclass(frozen=True)
class Bound:
    """A measure, a relation and the value that must not be passed."""

    measure: str
    relation: str  # <=, >=, < or >
    limit: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """The bound that a text such as `size_mb<=60` states.

        Raises:
            ValueError: the text states none, or bounds what no trial measures.
        """
        match = _BOUND.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r}: a bound is MEASURE<=NUMBER, as in size_mb<=60")
        measure, relation, limit = match.groups()
        if measure not in MEASURES:
            raise ValueError(
                f"{text!r}: unknown measure; a trial has {', '.join(MEASURES)}"
                f"{did_you_mean(measure, MEASURES)}"
            )
        return cls(measure, relation, float(limit))

    @property
    def below(self) -> bool:
        """Whether small values satisfy it."""
        return self.relation.startswith("<")

    def allows(self, outcome: Outcome) -> bool:
        """Whether an outcome satisfies it; one without the measure does not."""
        value = outcome.measures().get(self.measure)
        return value is not None and self.holds(value)

    def holds(self, value: float) -> bool:
        """Whether a value of the measure satisfies it."""
        return _COMPARE[self.relation](value, self.limit)

    def excess(self, value: float) -> float:
        """How far a value is beyond the limit: at most 0 where it satisfies the bound."""
        over = value - self.limit if self.below else self.limit - value
        return over or (0.0 if self.holds(value) else math.ulp(0.0))

    def __str__(self) -> str:
        return f"{self.measure} {self.relation} {self.limit:.15g}"


class Passed(str):
    """The reason why a draw is refused for a bound: a text that knows the bound and the value."""

    bound: Bound
    value: float

    def __new__(cls, bound: Bound, value: float) -> Passed:
        """The reason, as a person reads it."""
        made = super().__new__(cls, f"{bound.measure} would be {value:.15g}; asked for is {bound}")
        made.bound, made.value = bound, value
        return made


def passed(bounds: Iterable[Bound], measures: Mapping[str, float]) -> list[str]:
    """The bounds that these measures pass, a reason each; what isn't known passes none."""
    return [
        Passed(bound, measures[bound.measure])
        for bound in bounds
        if bound.measure in measures and not bound.holds(measures[bound.measure])
    ]


def nearest(measured: Sequence[tuple[str, Outcome]], bounds: Sequence[Bound]) -> str:
    """Why none of the outcomes satisfies all bounds, and which comes nearest.

    Args:
        measured: (what it is called, as in `trial 41`; its outcome) of each.
        bounds: that none of them satisfies together.
    """
    if not measured:
        return "no trial of this study is complete yet"
    for bound in bounds:
        known = [
            (values[bound.measure], name)
            for name, outcome in measured
            if bound.measure in (values := outcome.measures())
        ]
        if any(bound.holds(value) for value, _ in known):
            continue
        if not known:
            return f"no trial has measured {bound.measure}; the study's objectives don't ask for it"
        value, name = (min if bound.below else max)(known, key=lambda pair: pair[0])
        return (
            f"0 of {len(measured)} trials satisfy {bound}; "
            f"the {'smallest' if bound.below else 'largest'} is {value:g} ({name})"
        )
    return f"0 of {len(measured)} trials satisfy {listed(bounds)} together"


def listed(bounds: Iterable[Bound]) -> str:
    """`size_mb <= 60 and accuracy >= 0.8`."""
    return " and ".join(map(str, bounds))
