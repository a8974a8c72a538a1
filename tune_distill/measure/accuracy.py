"""The task's own metric over a split, with its interval where it is a rate over rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill.outcome import Interval
from tune_distill.statistics import wilson
from tune_distill.tasks import Encoded, Rows, score
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
    return of_answers(predict(model, data, device), data, metric)


def of_answers(logits: NDArray[np.float32], data: Encoded | Rows, metric: str) -> Accuracy:
    """The same of a model's logits of the rows: (rows, classes)."""
    value = score(metric, logits, data.labels)
    if metric != "accuracy":
        return Accuracy(value, None)
    return Accuracy(value, wilson(round(value * len(data)), len(data)))
