"""Who has reached which rung, and what it was worth there.

A rung is a share of a trial's own training, not a number of epochs: learning rates fall over all of
it, so that after two epochs of three a student has settled, and after two of nine it has not. Where
trainings differ in length, a trial reaches a rung at the end of its first epoch at or past it; one
whose epoch passes several reaches the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tune_distill.scheduler.rules import Verdict, judge

NEARLY = 1e-9  # shares are quotients


def shares(grace: int, factor: float, epochs: int) -> tuple[float, ...]:
    """The rungs of successive halving: grace, grace * factor, ... epochs of the longest training.

    Args:
        grace: epochs before the first.
        factor: from each to the next.
        epochs: of the longest training; its end is no rung, as nothing is left to stop.
    """
    found, at = [], float(grace)
    while at < epochs - NEARLY:
        found.append(at / epochs)
        at *= factor
    return tuple(found)


class Rungs:
    """The rungs of a search.

    Args:
        shares: of a training, rising.
        rule: by which trials are judged.
        factor: of the rule.
    """

    def __init__(self, shares: Sequence[float], rule: str, factor: float) -> None:
        self._shares, self._rule, self._factor = tuple(shares), rule, factor
        self._reached: dict[int, float] = {}  # by trial: the share of its last report
        self.losses: list[dict[int, tuple[float, ...]]] = [{} for _ in shares]  # by rung, trial

    def reached(self, number: int, share: float, losses: Sequence[float]) -> Verdict | None:
        """A trial reports; the verdict if this is a rung, else nothing.

        Args:
            number: of the trial.
            share: of its training that is done.
            losses: its worth, smaller is better; of the same objectives for each trial.
        """
        at = self._rung(self._reached.get(number, 0.0), share)
        self._reached[number] = max(share, self._reached.get(number, 0.0))
        if at is None:
            return None
        self.losses[at][number] = tuple(losses)
        return self.again(at, number)

    def again(self, at: int, number: int) -> Verdict:
        """The verdict on a trial that has reached a rung, among all that have by now."""
        rung = self.losses[at]
        numbers = sorted(rung)  # the order in which they came decides nothing
        table = np.array([rung[n] for n in numbers], dtype=np.float64)
        return judge(self._rule, table, numbers.index(number), self._factor)

    def _rung(self, before: float, share: float) -> int | None:
        """The last rung between two reports of a trial; none after its end."""
        passed = [i for i, at in enumerate(self._shares) if before + NEARLY < at <= share + NEARLY]
        return passed[-1] if passed and share < 1 - NEARLY else None
