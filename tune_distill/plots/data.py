"""What front.json holds, and all that the page shows.

schema             1; another number where a reader of this one would go wrong
name               of the study
objectives         [{name, goal, reference}, ...] in the order of the YAML
constraints        ["size_mb <= 60", ...] that the front's trials satisfy
counts             {complete, pruned, failed}: trials
trials             the complete ones, by number:
  number, params, seconds
  objectives       {name: value} of the study's objectives
  measures         {name: value} of all that was measured
  intervals        {name: [low, high]}, 95 %
  on_front         whether it satisfies the constraints and no such trial dominates it
  breaks           the constraints that it doesn't satisfy
  dominated_by     the front's trials that dominate it, by number
  at_chance        whether it is no better than chance could be
front              the numbers of the front's trials
knee               the number of the front's compromise (pareto.knee), or null
hypervolume        of the front, below the references
hypervolume_curve  [[number, hypervolume], ...] after each trial that satisfies the constraints
teacher            {name: value} of what was measured of the teacher, or null
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tune_distill import pareto
from tune_distill.folder import TrialRecord
from tune_distill.front import Front
from tune_distill.outcome import Objective, Outcome
from tune_distill.spec.bounds import Bound

SCHEMA = 1
Data = dict[str, Any]


def front_data(
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    teacher: Mapping[str, float] | None = None,
    name: str = "",
    bounds: Sequence[Bound] = (),
) -> Data:
    """The front of a study's ended trials as plain data, for front.json and for the page."""
    front = Front(records, objectives, bounds)
    numbers = [r.number for r in front.allowed]
    beaten_by = front.dominators()
    curve = pareto.hypervolume_curve(front.losses, front.corner).tolist()
    counts = Counter(r.state for r in records)
    return {
        "schema": SCHEMA,
        "name": name,
        "objectives": [
            {"name": o.name, "goal": o.goal, "reference": o.reference} for o in objectives
        ],
        "constraints": [str(bound) for bound in bounds],
        "counts": {state: counts[state] for state in ("complete", "pruned", "failed")},
        "trials": [
            _trial(
                record,
                outcome,
                objectives,
                beaten_by.get(record.number, ()),
                front.broken(outcome),
            )
            for record, outcome in front.complete
        ],
        "front": list(front.members),
        "knee": front.knee,
        "hypervolume": curve[-1] if curve else 0.0,
        "hypervolume_curve": [list(pair) for pair in zip(numbers, curve, strict=True)],
        "teacher": None if teacher is None else dict(teacher),
    }


def _trial(
    record: TrialRecord,
    outcome: Outcome,
    objectives: Sequence[Objective],
    better: Sequence[int],
    broken: Sequence[str],
) -> Data:
    measures = outcome.measures()
    return {
        "number": record.number,
        "params": dict(record.params),
        "seconds": record.seconds,
        "objectives": {o.name: measures[o.name] for o in objectives},
        "measures": measures,
        "intervals": {n: [i.low, i.high] for n, i in outcome.intervals.items()},
        "on_front": not better and not broken,
        "breaks": list(broken),
        "dominated_by": list(better),
        "at_chance": outcome.at_chance,
    }
