"""The draws that get no trial: how many, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tune_distill.spec.bounds import Bound, Passed

SHOWN = 3  # reasons


class Refusals:
    """Counts refused draws and their reasons; those of a constraint by what comes nearest."""

    def __init__(self) -> None:
        self.counts = {"infeasible": 0, "duplicate": 0}
        self._reasons: Counter[str] = Counter()
        self._passed: Counter[Bound] = Counter()
        self._nearest: dict[Bound, float] = {}

    def infeasible(self, reasons: Sequence[str]) -> None:
        """A draw can't or may not be trained."""
        self.counts["infeasible"] += 1
        for reason in reasons:
            if isinstance(reason, Passed):
                best = min if reason.bound.below else max
                self._passed[reason.bound] += 1
                known = self._nearest.get(reason.bound, reason.value)
                self._nearest[reason.bound] = best(known, reason.value)
            else:
                self._reasons[reason] += 1

    def duplicate(self) -> None:
        """A draw was drawn before."""
        self.counts["duplicate"] += 1

    def common(self) -> str:
        """The commonest reasons why draws can't be trained."""
        told = [(count, f"{why} ({count} draws)") for why, count in self._reasons.items()]
        for bound, count in self._passed.items():
            end = "smallest" if bound.below else "largest"
            nearest = f"the {end} {bound.measure} is {self._nearest[bound]:.15g}"
            told.append((count, f"{bound} isn't met; {nearest} ({count} draws)"))
        told.sort(key=lambda pair: -pair[0])
        return "; ".join(text for _, text in told[:SHOWN])
