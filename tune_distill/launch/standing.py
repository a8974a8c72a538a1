"""How a search stands: its ended trials, the front among them, its hypervolume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tune_distill import pareto
from tune_distill.front import Front
from tune_distill.outcome import Objective
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound


@dataclass(frozen=True)
class Standing:
    """The state of a search at one moment."""

    wanted: int  # trials
    records: tuple[TrialRecord, ...]  # of the ended trials, by number
    front: tuple[int, ...]  # numbers of its trials
    hypervolume: float  # towards the objectives' references
    rejected: Mapping[str, int] = field(default_factory=dict)  # draws: infeasible, duplicate
    exhausted: bool = False  # the space holds nothing new

    @property
    def states(self) -> dict[str, int]:
        """How many trials ended in each state."""
        return dict(Counter(record.state for record in self.records))


def standing(
    records: Sequence[TrialRecord],
    axes: Sequence[Objective],
    wanted: int,
    rejected: Mapping[str, int],
    exhausted: bool,
    bounds: Sequence[Bound] = (),
) -> Standing:
    """How a search with these records stands."""
    ordered = sorted(records, key=lambda record: record.number)
    front = Front(ordered, axes, bounds)
    return Standing(
        wanted=wanted,
        records=tuple(ordered),
        front=front.members,
        hypervolume=pareto.hypervolume(front.losses, front.corner),
        rejected=dict(rejected),
        exhausted=exhausted,
    )
