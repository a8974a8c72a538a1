"""Early stopping of one study: what its trials are worth at a rung, and why one was stopped.

An objective is judged on what is known of it at a rung: accuracy is measured there; robustness has
its guard, which is measured at every rung where the study attacks; size, parameters and FLOPs are
known before the first update. Any other is unknown before the end, and not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tune_distill.outcome import Objective
from tune_distill.record import Rung
from tune_distill.scheduler.rules import Verdict
from tune_distill.scheduler.rungs import Rungs, shares
from tune_distill.space import Params
from tune_distill.spec import StudySpec
from tune_distill.spec.stopping import longest

Known = Callable[[Params], Mapping[str, float]]


class EarlyStopping:
    """Judges the trials of a study as they report.

    Args:
        spec: the study.
        known: what a trial measures whatever it learns, by the names in `Outcome`.

    Attributes:
        reasons: why each trial was stopped, by its number.
    """

    def __init__(self, spec: StudySpec, known: Known) -> None:
        self._stop, self._axes, self._known = spec.search.stop_early, spec.axes, known
        ends = shares(self._stop.grace, self._stop.factor, longest(spec.search_space))
        self._rungs = Rungs(ends, self._stop.rule, self._stop.factor)
        self._sizes: dict[int, Mapping[str, float]] = {}
        self.reasons: dict[int, str] = {}

    @property
    def active(self) -> bool:
        """Whether any trial may be stopped."""
        return self._stop.rule != "none"

    def reported(self, number: int, params: Params, rung: Rung) -> Verdict | None:
        """A trial has ended an epoch; the verdict if that is a rung, else nothing."""
        if not self.active:
            return None
        if number not in self._sizes:
            self._sizes[number] = self._known(params)
        at = share(rung, params)
        verdict = self._rungs.reached(number, at, losses(rung, self._sizes[number], self._axes))
        if verdict is not None and verdict.stop:
            self.reasons[number] = (
                f"{self._stop.rule}: stopped after epoch {rung.epoch} of "
                f"{params.get('train.epochs')}, at the rung at {at:.0%} of its training: "
                f"place {verdict.place} of {verdict.among}"
            )
        return verdict

    def replay(self, number: int, params: Params, rungs: Sequence[Rung]) -> None:
        """What a trial reported to an earlier run of the search. Nothing is judged again."""
        for rung in rungs:
            self.reported(number, params, rung)
        self.reasons.pop(number, None)


def losses(rung: Rung, known: Mapping[str, float], axes: Sequence[Objective]) -> tuple[float, ...]:
    """A trial's worth at a rung, smaller is better: accuracy first, then the rest that is known.

    The first objective is the one that `asha` goes by.
    """
    measures = {**known, "accuracy": rung.accuracy}
    if rung.guard is not None:
        measures["robust_worst"] = rung.guard
    judged = sorted(
        (axis for axis in axes if axis.name in measures), key=lambda axis: axis.name != "accuracy"
    )
    return tuple((-1.0 if axis.goal == "max" else 1.0) * measures[axis.name] for axis in judged)


def share(rung: Rung, params: Params) -> float:
    """Of a trial's training that is done; by updates, since a costly defence may end it sooner."""
    if rung.planned:
        return rung.updates / rung.planned
    return rung.epoch / int(params["train.epochs"] or 1)
