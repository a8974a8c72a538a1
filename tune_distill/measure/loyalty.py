"""How much like its teacher a student answers: texts as they are, and texts that an attack made.

    label loyalty          the share of rows of which both say the same
    probability loyalty    the mean over rows of 1 - √JS(p, q),
                           JS = (KL(p || m) + KL(q || m)) / 2,  m = (p + q) / 2

Xu et al., "Beyond Preserved Accuracy", 2021 (arXiv 2109.03228). Natural logarithms, as in the
authors' code (scipy's jensenshannon): 1 where all answers are the same, 1 - √ln 2 = 0.167 where
they have nothing in common. A loyal student of a fragile teacher is fragile with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_distill.measure.robustness import Rate, Robustness

Logits = NDArray[np.float32]  # (rows, classes)
Columns = tuple[list[str], ...]


@dataclass(frozen=True)
class Reference:
    """The teacher that a student is compared with."""

    answers: Callable[[str], Logits]  # to a split of the task, by name
    asked: Callable[[Columns], Logits]  # to any texts


@dataclass(frozen=True)
class Loyalty:
    """Of two models on the same rows."""

    labels: Rate
    probabilities: float


def loyalty(student: Logits, teacher: Logits) -> Loyalty:
    """Of a student's answers to a teacher's: logits of the same rows, one class each."""
    same = student.argmax(axis=1) == teacher.argmax(axis=1)
    return Loyalty(Rate.of(same), float((1 - np.sqrt(divergence(student, teacher))).mean()))


def attacked_loyalty(
    found: Robustness, student: Callable[[Columns], Logits], teacher: Callable[[Columns], Logits]
) -> Loyalty:
    """On the texts that all attacks of a study left behind, flipped or not.

    Args:
        found: what the attacks did to the student.
        student: its logits of texts.
        teacher: likewise.
    """
    texts = [one.result.texts for one in found.attacks.values()]
    columns = tuple(
        [text for each in column for text in each] for column in zip(*texts, strict=True)
    )
    return loyalty(student(columns), teacher(columns))


def divergence(first: Logits, second: Logits) -> NDArray[np.float64]:
    """Jensen and Shannon's, of each row's softmax: (rows,), in nats."""
    p, q = (_log_softmax(logits) for logits in (first, second))
    middle = np.logaddexp(p, q) - np.log(2)
    both = np.exp(p) * (p - middle) + np.exp(q) * (q - middle)
    found: NDArray[np.float64] = (both.sum(axis=1) / 2).clip(0)  # rounding may leave -1e-17
    return found


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    return scaled
