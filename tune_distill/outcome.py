"""What a finished trial is worth: its outcome, and the objectives that compare outcomes.

Every objective becomes "smaller is better" here, once, in `losses`; nothing downstream asks for
a direction again. NaN and infinities never get past `Outcome`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Goal = Literal["max", "min"]


@dataclass(frozen=True)
class Interval:
    """A 95 % confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """The measures of one finished student, on the search split.

    `rates` holds, by attack, the share of rows that are right and that this attack alone did not
    flip. `reported` holds what is measured and is no objective. `intervals` holds a 95 % interval
    for each measure that is a rate over rows, by its name in `measures`.
    """

    accuracy: float  # the task's own metric, in [-1, 1]
    size_mb: float  # 10^6 bytes of the weights that are exported
    parameters: int
    flops: float  # of one forward pass over one example, mean over the task's real lengths
    robust_worst: float | None = None  # right on the clean text and flipped by no attack
    clean_on_attacked: float | None = None  # right on the clean text, over the same rows
    label_loyalty: float | None = None  # what it says is what its teacher says: measure/loyalty.py
    probability_loyalty: float | None = None  # 1 where both give the same probabilities
    rates: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
    at_chance: bool = False  # no better than chance could be: what else it measures says nothing

    def __post_init__(self) -> None:
        bad = {name: value for name, value in self.measures().items() if not math.isfinite(value)}
        if bad:
            raise ValueError(f"an outcome must be finite, got {bad}")

    def measures(self) -> dict[str, float]:
        """The measures that were taken, by name.

        With those of attacks: `robust_<attack>` of `rates`, and `robust_kept`, the share of the
        rows that were right which stayed right.
        """
        taken = {
            name: float(getattr(self, name)) for name in MEASURES if getattr(self, name) is not None
        }
        taken |= {f"robust_{attack}": float(rate) for attack, rate in self.rates.items()}
        taken |= {name: float(value) for name, value in self.reported.items()}
        if self.robust_worst is not None and self.clean_on_attacked:
            taken["robust_kept"] = self.robust_worst / self.clean_on_attacked
        return taken

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """The outcome that `to_json` wrote."""
        intervals = {name: Interval(**pair) for name, pair in data.get("intervals", {}).items()}
        return cls(**{**data, "intervals": intervals})


_BESIDE = ("rates", "intervals", "reported", "at_chance")
MEASURES: tuple[str, ...] = tuple(f.name for f in fields(Outcome) if f.name not in _BESIDE)


@dataclass(frozen=True)
class Objective:
    """One axis of the front: a field of `Outcome`, its goal, its worst value of interest."""

    name: str
    goal: Goal
    reference: float


def losses(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """The outcomes as an array in which smaller is better.

    Returns:
        (outcomes, objectives)

    Raises:
        ValueError: an outcome lacks one of the objectives.
    """
    rows = []
    for outcome in outcomes:
        measures = outcome.measures()
        missing = [o.name for o in objectives if o.name not in measures]
        if missing:
            raise ValueError(f"an outcome without {', '.join(missing)} cannot be compared")
        rows.append([_sign(o) * measures[o.name] for o in objectives])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(objectives))


def reference_losses(objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """The corner of the hypervolume in the space of `losses`: (objectives,)."""
    return np.array([_sign(o) * o.reference for o in objectives], dtype=np.float64)


def _sign(objective: Objective) -> float:
    return -1.0 if objective.goal == "max" else 1.0
