"""The front of a study: the one place that says which of its trials are on it.

A member is complete, satisfies every constraint of the study, and is dominated by no other that
does. Hypervolume and knee are of those trials, too; what breaks a constraint counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.errors import NoFeasibleStudent
from tune_distill.folder import TrialRecord
from tune_distill.outcome import Objective, Outcome, losses, reference_losses
from tune_distill.spec.bounds import Bound, nearest


@dataclass(frozen=True)
class Front:
    """What the ended trials of a study come to."""

    records: Sequence[TrialRecord]  # of all ended trials
    objectives: Sequence[Objective]
    bounds: Sequence[Bound] = ()

    @cached_property
    def complete(self) -> tuple[tuple[TrialRecord, Outcome], ...]:
        """The trials that were measured, by number."""
        ordered = sorted(self.records, key=lambda record: record.number)
        return tuple((r, r.outcome) for r in ordered if r.outcome is not None)

    @cached_property
    def allowed(self) -> tuple[TrialRecord, ...]:
        """Those of them that satisfy every constraint."""
        return tuple(r for r, outcome in self.complete if not self.broken(outcome))

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """Of the allowed, as `outcome.losses` has them: (allowed, objectives)."""
        return losses([r.outcome for r in self.allowed if r.outcome], self.objectives)

    @cached_property
    def members(self) -> tuple[int, ...]:
        """The numbers of the trials on the front."""
        return tuple(self.allowed[i].number for i in np.flatnonzero(pareto.front(self.losses)))

    @cached_property
    def knee(self) -> int | None:
        """The number of the front's compromise; None where the front is empty."""
        if not self.allowed:
            return None
        return self.allowed[pareto.knee(self.losses, self.corner)].number

    @property
    def corner(self) -> NDArray[np.float64]:
        """The hypervolume's: (objectives,)."""
        return reference_losses(self.objectives)

    def broken(self, outcome: Outcome) -> list[str]:
        """The constraints that an outcome doesn't satisfy."""
        return [str(bound) for bound in self.bounds if not bound.allows(outcome)]

    def dominators(self) -> dict[int, list[int]]:
        """The front's trials that dominate each allowed trial, by number."""
        beaten = pareto.dominators(self.losses)
        return {
            record.number: [self.allowed[i].number for i in rows]
            for record, rows in zip(self.allowed, beaten, strict=True)
        }

    def require(self) -> None:
        """Raises NoFeasibleStudent, naming the nearest, where trials ended and none is allowed."""
        if self.complete and not self.allowed:
            named = [(f"trial {record.number}", outcome) for record, outcome in self.complete]
            raise NoFeasibleStudent(nearest(named, self.bounds))
