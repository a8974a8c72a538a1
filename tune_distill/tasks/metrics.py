"""The metrics of the tasks, and what a constant prediction reaches in each.

f1: of class 1 where there are two classes, else the mean over classes that occur (macro); a class
    never predicted and never present does not count, one without a hit has 0
mcc: Matthews 1975; for several classes Gorodkin's R_K (2004)
pearson, spearman: of the single output; spearman on mean ranks
f1_micro, f1_macro: of several labels a row, each predicted where its logit is over 0 (a chance of
    a half); hits and misses of all labels counted together, or the mean over labels that occur
accuracy: where a row may have several labels, those rows count whose labels are all as they are

As in GLUE's own scripts a constant prediction has an MCC of 0. It has no correlation (0/0): that is
0 here too, the value of knowing nothing, so that a collapsed student is bad and not missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_distill.methods.base import Kind

if TYPE_CHECKING:
    from tune_distill.tasks.prepared import Prepared

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]

METRICS: dict[Kind, tuple[str, ...]] = {  # the default first
    "single_label": ("accuracy", "f1", "mcc"),
    "multi_label": ("f1_micro", "f1_macro", "accuracy"),
    "regression": ("pearson", "spearman"),
}


def score(metric: str, logits: NDArray[np.generic], labels: NDArray[np.generic]) -> float:
    """Return the metric of a model's outputs.

    logits: (rows, classes), or (rows,) or (rows, 1) of a regression
    labels: (rows,), or (rows, classes) of 0 and 1

    Raises:
        FloatingPointError: an output is not finite; such a model has no score
    """
    outputs = np.asarray(logits, np.float64)
    if len(outputs) != len(labels) or not len(labels):
        raise ValueError(f"{len(outputs)} rows of outputs for {len(labels)} labels")
    if not np.isfinite(outputs).all():
        bad = int((~np.isfinite(outputs.reshape(len(outputs), -1))).any(axis=1).sum())
        raise FloatingPointError(
            f"{bad:,} of {len(outputs):,} rows have outputs that are not finite"
        )
    if metric in _OF_NUMBERS:
        return _OF_NUMBERS[metric](outputs.reshape(len(labels)), np.asarray(labels, np.float64))
    if np.ndim(labels) == 2:
        return _OF_SETS[metric](outputs > 0, np.asarray(labels) > 0)
    classes = outputs.shape[1]
    predicted, actual = outputs.argmax(axis=1), np.asarray(labels, np.int64)
    counts = np.bincount(actual * classes + predicted, minlength=classes * classes)
    return _OF_CLASSES[metric](counts.reshape(classes, classes).astype(np.float64))


def scores(task: Prepared, logits: NDArray[np.generic], split: str = "heldout") -> dict[str, float]:
    """Return every metric of a task, by name, of a model's outputs for one of its splits."""
    labels = task.splits()[split].labels
    return {metric: score(metric, logits, labels) for metric in task.metrics}


def floor(metric: str, labels: NDArray[np.generic]) -> float:
    """Return what the best constant prediction scores; a model has to beat that."""
    if metric in _OF_NUMBERS:
        return 0.0
    if np.ndim(labels) == 2:
        return _floor_of_sets(metric, np.asarray(labels) > 0)
    actual = np.asarray(labels, np.int64)
    classes = max(2, int(actual.max()) + 1)
    constants = np.eye(classes)[:, None, :].repeat(len(actual), axis=1)
    return max(score(metric, constant, actual) for constant in constants)


def _accuracy(confusion: Reals) -> float:
    return float(np.trace(confusion) / confusion.sum())


def _f1(confusion: Reals) -> float:
    hits, either = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(2 * hits[1] / max(either[1], 1)) if len(hits) == 2 else _mean_f1(hits, either)


def _mean_f1(hits: NDArray[Any], either: NDArray[Any]) -> float:
    """Return the mean of 2 hits / (predicted + actual), over classes with any of either."""
    occur = either > 0
    return float((2 * hits[occur] / either[occur]).mean()) if occur.any() else 0.0


def _mcc(confusion: Reals) -> float:
    actual, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    rows = confusion.sum()
    spread = (rows**2 - (actual**2).sum()) * (rows**2 - (predicted**2).sum())
    covariance = np.trace(confusion) * rows - (actual * predicted).sum()
    return float(covariance / np.sqrt(spread)) if spread > 0 else 0.0


def _pearson(outputs: Reals, targets: Reals) -> float:
    if np.ptp(outputs) == 0 or np.ptp(targets) == 0:
        return 0.0
    x, y = _standard(outputs), _standard(targets)
    return float(np.clip(x @ y, -1.0, 1.0))


def _standard(values: Reals) -> Reals:
    """Centre and scale to length 1; by the largest first, so that nothing under- or overflows."""
    centred = values / np.abs(values).max()
    centred = centred - centred.mean()
    unit: Reals = centred / np.linalg.norm(centred)
    return unit


def _spearman(outputs: Reals, targets: Reals) -> float:
    return _pearson(_ranks(outputs), _ranks(targets))


def _ranks(values: Reals) -> Reals:
    """Return ranks from 1; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Reals = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _all_right(predicted: Flags, actual: Flags) -> float:
    return float((predicted == actual).all(axis=1).mean())


def _f1_micro(predicted: Flags, actual: Flags) -> float:
    return float(2 * (predicted & actual).sum() / max(predicted.sum() + actual.sum(), 1))


def _f1_macro(predicted: Flags, actual: Flags) -> float:
    return _mean_f1((predicted & actual).sum(axis=0), predicted.sum(axis=0) + actual.sum(axis=0))


def _floor_of_sets(metric: str, actual: Flags) -> float:
    """Return the best score of always predicting the same labels, whichever they are."""
    rows, counts = len(actual), actual.sum(axis=0)
    if metric == "accuracy":
        return float(np.unique(actual, axis=0, return_counts=True)[1].max() / rows)
    if metric == "f1_macro":  # each label by itself: predicted if there is one to hit
        return float((2 * counts / (rows + counts))[counts > 0].mean()) if counts.any() else 0.0
    hits = np.cumsum(np.sort(counts)[::-1])  # of the k most frequent labels
    predicted = rows * np.arange(1, len(counts) + 1)
    return float((2 * hits / (predicted + counts.sum())).max())


_OF_CLASSES: dict[str, Callable[[Reals], float]] = {"accuracy": _accuracy, "f1": _f1, "mcc": _mcc}
_OF_SETS: dict[str, Callable[[Flags, Flags], float]] = {
    "accuracy": _all_right,
    "f1_micro": _f1_micro,
    "f1_macro": _f1_macro,
}
_OF_NUMBERS: dict[str, Callable[[Reals, Reals], float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
}
