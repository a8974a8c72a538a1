"""The task's own metric over a split, with its interval where it is a rate over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_distill.outcome import Interval
from tune_distill.statistics import wilson
from tune_distill.tasks import Encoded
from tune_distill.tasks.metrics import score
from tune_distill.train import predict

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Accuracy:
    """A score, and its 95 % interval where there is one."""

    score: float
    interval: Interval | None


def accuracy(model: PreTrainedModel, data: Encoded, metric: str, device: str = "cpu") -> Accuracy:
    """The metric of a model over encoded rows: accuracy with Wilson's interval, or F1, MCC, ..."""
    value = score(metric, predict(model, data, device), data.labels)
    if metric != "accuracy":
        return Accuracy(value, None)
    return Accuracy(value, wilson(round(value * len(data)), len(data)))
