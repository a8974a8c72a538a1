"""The front of a study: the one place that says which of its trials are on it.

A member is complete, satisfies every constraint of the study, and is dominated by no other that
does. Hypervolume and knee are of those trials, too; what breaks a constraint counts for nothing.
Where robustness is an objective, to be better than chance is one more constraint: a student that
says the same whatever it reads is flipped by no attack.

Members that the rows cannot tell apart are grouped by `tied_groups`; `Front.groups` has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.errors import NoFeasibleStudent
from tune_distill.outcome import Objective, Outcome, losses, reference_losses
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound, nearest

BETTER_THAN_CHANCE = "better than chance"


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

    @cached_property
    def groups(self) -> list[list[int]]:
        """The front's members in groups that cannot be told apart; the first holds the knee."""
        found = {r.number: r.outcome for r in self.allowed if r.outcome}
        members = {number: found[number] for number in self.members}
        return tied_groups(members, self.objectives, self.knee)

    @property
    def corner(self) -> NDArray[np.float64]:
        """The hypervolume's: (objectives,)."""
        return reference_losses(self.objectives)

    def broken(self, outcome: Outcome) -> list[str]:
        """The constraints that an outcome doesn't satisfy."""
        idle = outcome.at_chance and rewards_the_idle(self.objectives)
        bounds = [str(bound) for bound in self.bounds if not bound.allows(outcome)]
        return [*bounds, *([BETTER_THAN_CHANCE] if idle else [])]

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
            if all(outcome.at_chance for _, outcome in self.complete):
                raise NoFeasibleStudent(
                    f"0 of {len(self.complete)} trials are {BETTER_THAN_CHANCE}"
                )
            named = [(f"trial {record.number}", outcome) for record, outcome in self.complete]
            raise NoFeasibleStudent(nearest(named, self.bounds))


def rewards_the_idle(objectives: Sequence[Objective]) -> bool:
    """Whether a student that says the same whatever it reads would do well in one of them."""
    return any(axis.name == "robust_worst" for axis in objectives)


def tied_groups(
    members: Mapping[int, Outcome], objectives: Sequence[Objective], around: int | None = None
) -> list[list[int]]:
    """Members of a front in groups whose 95 % intervals overlap on every objective.

    Two members are tied where their intervals overlap on each objective for which either has one
    (who has none there stands for its value alone). An objective that nobody has an interval for,
    like a size, separates nobody; where that goes for all of them, nothing is tied.

    To overlap is not transitive: A with B and B with C, but not A with C. So that a group holds no
    pair that differs, each is a clique: from the first member that is left, the others join in the
    order of their nearness to it, each if it overlaps with all that joined before. Intervals that
    overlap in pairs have a point in common (Helly), so one truth could be that of all in a group.

    Args:
        members: the outcomes by number.
        objectives: of the study.
        around: who gathers the first group: the knee. The others follow by the first objective,
            the best first.

    Returns:
        Each member in one group, alone where it is tied with nobody; numbers rise in a group.
    """
    gaps = _gaps(list(members.values()), objectives)
    numbers = list(members)
    table = losses(list(members.values()), objectives)
    left = sorted(range(len(numbers)), key=lambda i: (numbers[i] != around, *table[i], numbers[i]))
    groups: list[list[int]] = []
    while left:
        group: list[int] = []
        for i in sorted(left, key=lambda i: (i != left[0], gaps[left[0], i], numbers[i])):
            if all(gaps[i, j] <= 1.0 for j in group):
                group.append(i)
        left = [i for i in left if i not in group]
        groups.append(sorted(numbers[i] for i in group))
    return groups


def _gaps(outcomes: Sequence[Outcome], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """The distance of two members' intervals, 1 where they touch, the largest of any objective.

    Between the middles, over the sum of half the widths: (members, members).
    """
    measured = [o.name for o in objectives if any(o.name in one.intervals for one in outcomes)]
    if not measured:
        return np.where(np.eye(len(outcomes)) > 0, 0.0, np.inf)
    ends = np.array([[_ends(one, name) for name in measured] for one in outcomes])
    low, high = ends[:, None, :, 0], ends[:, None, :, 1]  # (members, 1, objectives)
    between = np.abs(ends.sum(axis=2)[:, None] - ends.sum(axis=2)[None])
    widths = (high - low) + (high - low).transpose(1, 0, 2)
    apart = np.where(between > 0, np.inf, 0.0)  # of two values without a width
    gaps = np.divide(between, widths, out=apart, where=widths > 0).max(axis=2)
    return np.asarray(np.round(gaps, 9), dtype=np.float64)  # rounding errors must not break ties


def _ends(outcome: Outcome, name: str) -> tuple[float, float]:
    interval = outcome.intervals.get(name)
    value = outcome.measures()[name]
    return (interval.low, interval.high) if interval else (value, value)
