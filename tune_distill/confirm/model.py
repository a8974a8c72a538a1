"""A model of a confirmation: a candidate in one of its forms, and all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from tune_distill.confirm.plan import Candidate
from tune_distill.confirm.read import PLAIN, HeldOut
from tune_distill.confirm.samples import Sample
from tune_distill.forms import NAMES
from tune_distill.outcome import Outcome
from tune_distill.tasks import score

TEACHER = "teacher"


def called(candidate: str, form: str = PLAIN) -> str:
    """What a candidate in one of its forms is called: `trial 4`, `trial 4, ONNX int8`."""
    return candidate if form == PLAIN else f"{candidate}, {NAMES[form]}"


@dataclass(frozen=True, eq=False)
class Model:
    """A candidate in one of its forms, with all that is known of it.

    searched: what the search measured of its trial; None of what it has not measured
    found: the search's own student on the held-out rows
    again: each fresh seed's measures on the search split (None of a form that has not read it),
        and its look at the held-out rows
    failed: how many of its trainings failed
    form: `pytorch`, `onnx` or `int8`
    """

    candidate: Candidate
    searched: Outcome | None
    found: HeldOut | None
    again: Sequence[tuple[Outcome | None, HeldOut]]
    failed: int = 0
    form: str = PLAIN

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return called(self.candidate.name, self.form)

    @property
    def member(self) -> bool:
        """Whether it is of the search's front, as the search trained it."""
        return self.candidate.role == "front" and self.form == PLAIN

    @cached_property
    def looks(self) -> list[HeldOut]:
        """Of the fresh seeds."""
        return [look for _, look in self.again]

    def exact(self, measure: str) -> float:
        """The mean over fresh seeds of a measure that is not drawn again."""
        return float(np.mean([look.outcome.measures()[measure] for look in self.looks]))


@dataclass(frozen=True, eq=False)
class Rows:
    """What the held-out rows are scored by."""

    metric: str
    labels: NDArray[np.generic]

    @property
    def right_or_wrong(self) -> bool:
        """Whether the metric is a share of rows."""
        return self.metric == "accuracy" and np.ndim(self.labels) == 1

    def sample(self, looks: Sequence[HeldOut], measure: str) -> Sample:
        """One measure of one model's looks."""
        if measure == "robust_worst":
            return Sample(np.array([look.robust for look in looks], np.float64))
        if self.right_or_wrong:
            return Sample(np.array([self.right(look) for look in looks], np.float64))
        return Sample(scores=[partial(self._score, look) for look in looks])

    def right(self, look: HeldOut) -> NDArray[np.bool_]:
        """Which rows a model gets right: (rows,)."""
        return np.asarray(look.logits.argmax(axis=1) == np.asarray(self.labels))

    def _score(self, look: HeldOut, rows: NDArray[np.intp]) -> float:
        return score(self.metric, look.logits[rows], np.asarray(self.labels)[rows])
