"""What was measured of each form of an exported student, as metrics.json and the card tell it.

The forms are `pytorch`, `onnx`, `int8`; beside them stands `teacher`, what they all come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tune_distill.measure.accuracy import Accuracy
from tune_distill.measure.latency import Latency

Scores = Mapping[str, Mapping[str, Accuracy]]  # by split, then by metric


@dataclass(frozen=True)
class Against:
    """Two forms on the same held-out rows."""

    rows: int
    differing: int  # rows that they give different classes
    p: float  # McNemar's, that both are right equally often
    robust_p: float | None = None  # the same of the attacked rows


@dataclass(frozen=True)
class Figures:
    """One form of a student, or its teacher."""

    size_mb: float  # 10^6 bytes of its file
    heldout: Scores  # on rows that nothing of the search has read
    latency: Latency
    robust: Mapping[str, Accuracy] = field(default_factory=dict)  # int8's, by measure
    max_error: float | None = None  # of a logit, from PyTorch's
    against: Against | None = None  # PyTorch; int8's

    def to_json(self) -> dict[str, Any]:
        """A plain dict; what was not measured is not there."""
        told = {
            "size_mb": self.size_mb,
            "heldout": {
                split: {metric: _scored(one) for metric, one in found.items()}
                for split, found in self.heldout.items()
            },
            "latency": asdict(self.latency),
            "robust": {name: _scored(one) for name, one in self.robust.items()},
            "max_error": self.max_error,
            "against_pytorch": self.against and asdict(self.against),
        }
        return {name: value for name, value in told.items() if value not in (None, {})}


def _scored(one: Accuracy) -> dict[str, Any]:
    interval = [one.interval.low, one.interval.high] if one.interval else None
    return {"value": one.score, "interval": interval}
