"""Whether a teacher has learned its task: its score on the search split, against a floor.

An un-fine-tuned head, or classes in another order, is the commonest mistake of distillation, and
nothing fails: the students learn noise. By default the floor is what chance could show:

    accuracy, F1s   the upper end of Wilson's 95 % interval around the constant predictor's score
    MCC, Pearson, Spearman    1.96 / sqrt(n), the two-sided 95 % point of no association

F1 is no rate over the n rows; the interval serves as a margin of the right size.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tune_distill import tasks
from tune_distill.errors import TeacherError
from tune_distill.files import write_atomically
from tune_distill.outcome import Interval
from tune_distill.statistics import wilson
from tune_distill.tasks import Prepared
from tune_distill.teacher.loading import load
from tune_distill.teacher.store import record
from tune_distill.train import predict

_MOST_ORDERS = 6  # classes whose orders are all tried for a hint: 720


@dataclass(frozen=True)
class Check:
    """A teacher's score on the search split, and the least that it had to reach."""

    metric: str
    score: float
    interval: Interval | None  # where the metric is a rate
    floor: float
    rows: int


def check(
    folder: Path,
    task: Prepared,
    floor: float | None = None,
    *,
    device: str = "cpu",
    answers: Callable[[], NDArray[np.float32] | None] = lambda: None,
) -> Check:
    """Measures a teacher on the search split; a score that passed is remembered beside it.

    Args:
        folder: the teacher, as `resolve` gave it.
        task: tokenised for it.
        floor: the least score; None for the task's own.
        device: where to measure.
        answers: its logits on the search split, (rows, classes), where they are filed; they are
            computed where they are not.

    Raises:
        TeacherError: the score is below the floor.
    """
    labels = task.search.labels
    least = least_score(task.metric, labels) if floor is None else floor
    memory = folder / "checks" / f"{task.key[:16]}.json"
    score = _remembered(memory)
    if score is None or score < least:
        logits = answers()
        logits = predict(load(folder), task.search, device) if logits is None else logits
        score = tasks.score(task.metric, logits, labels)
        if score < least:
            raise TeacherError(_message(folder, task, score, least, _hint(task, logits, least)))
        memory.parent.mkdir(exist_ok=True)
        write_atomically(memory, json.dumps({"metric": task.metric, "score": score}))
    return Check(task.metric, score, _interval(task.metric, score, len(labels)), least, len(labels))


def least_score(metric: str, labels: NDArray[np.generic]) -> float:
    """The score that a teacher has to beat, for chance not to pass."""
    constant = tasks.floor(metric, labels)
    if metric == "accuracy" or metric.startswith("f1"):
        return wilson(round(constant * len(labels)), len(labels)).high
    return constant + NormalDist().inv_cdf(0.975) / math.sqrt(len(labels))


def _remembered(memory: Path) -> float | None:
    try:
        return float(json.loads(memory.read_text(encoding="utf-8"))["score"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # never measured, or not readable: it is measured now


def _interval(metric: str, score: float, rows: int) -> Interval | None:
    return wilson(round(score * rows), rows) if metric == "accuracy" else None


def _hint(task: Prepared, logits: NDArray[np.float32], least: float) -> str:
    """What is probably wrong, as far as the logits tell."""
    classes = logits.shape[1]
    if 1 < classes <= _MOST_ORDERS:
        orders = list(permutations(range(classes)))
        scores = [
            tasks.score(task.metric, logits[:, order], task.search.labels) for order in orders
        ]
        best = int(np.argmax(scores))
        if scores[best] >= least:
            order = ", ".join(f"{new} = its {old}" for new, old in enumerate(orders[best]))
            return (
                f"Its classes stand in another order: taken as {order}, it scores "
                f"{scores[best]:.4f}. Reorder the rows of its head, or renumber the task's labels"
            )
    return (
        "The commonest mistake is a head that was never fine-tuned on this task; "
        "`teacher: {fit: {base: ...}}` fine-tunes one"
    )


def _message(folder: Path, task: Prepared, score: float, least: float, hint: str) -> str:
    origin = record(folder)
    name = origin.get("model") or folder.name
    spread = _interval(task.metric, score, len(task.search))
    span = f" (95 % interval {spread.low:.4f} to {spread.high:.4f})" if spread else ""
    constant = tasks.floor(task.metric, task.search.labels)
    return (
        f"teacher {name}: {task.metric} {score:.4f}{span} on the {len(task.search):,} search rows "
        f"of {task.name}, below the floor of {least:.4f}; always predicting the same gives "
        f"{constant:.4f}. {hint}; teacher.floor sets another floor"
    )
