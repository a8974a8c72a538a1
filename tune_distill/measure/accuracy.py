"""The task's own metric over a split, with its interval where it is a rate over rows.

`heldout` reads the rows that nothing of a search may read: for `confirm`, once a choice is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_distill.outcome import Interval
from tune_distill.statistics import wilson
from tune_distill.tasks import Encoded, Prepared, score, scores
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


def heldout(
    model: PreTrainedModel, task: Prepared, device: str = "cpu"
) -> dict[str, dict[str, float]]:
    """Every metric of the task on each of its held-out splits: by split, then by metric."""
    splits = {"heldout": task.heldout, **task.more}
    return {name: scores(task, predict(model, data, device), name) for name, data in splits.items()}
