"""What front.json holds, and all that the page shows; docs/front.md says it at length.

schema_version     2; another number where a reader of this one would go wrong
name               of the study
objectives         [{name, goal, reference}, ...] in the order of the YAML
constraints        ["size_mb <= 60", ...] that the front's trials satisfy
counts             {complete, pruned, failed}: trials
trials             all that ended, by number; what is final is of the complete ones alone:
  number, state    complete, pruned (stopped before its end) or failed
  reason           why it failed or was stopped
  params           {knob: value}
  started, seconds since the epoch; of work
  epochs           that it reported
  objectives       {name: value} of the study's objectives
  measures         {name: value} of all that was measured
  intervals        {name: [low, high]}, 95 %
  on_front         whether it satisfies the constraints and no such trial dominates it
  breaks           the constraints that it doesn't satisfy
  dominated_by     the front's trials that dominate it, by number
  tied_with        the others of its group
  ties             the front's trials that it may well equal in robust_worst, by a paired interval
  control          finetune (no teacher), kd (the most accurate plain distillation), or null
  at_chance        whether it is no better than chance could be
front              the numbers of the front's trials
groups             [[number, ...], ...]: the front in groups that can't be told apart, the knee's
                   first (front.tied_groups)
knee               the number of the front's compromise (pareto.knee), or null
hypervolume        of the front, below the references
hypervolume_curve  [[number, hypervolume], ...] after each trial that satisfies the constraints
hypervolume_time   [[seconds, hypervolume], ...] as they ended, since the first one started
rungs              [{epoch, reached, complete, pruned, failed}, ...]: how many ended trials reported
                   it, and how many were at their end with it
importances        {objective: {knob: {effect, trials, clear}}} (plots/importance.py)
teacher            {name: value} of what was measured of the teacher, or null
hardened           [{defence, measures}, ...] of the teachers that a defence hardened
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tune_distill import pareto
from tune_distill.front import Front
from tune_distill.outcome import Objective
from tune_distill.plots.course import over_time, survival
from tune_distill.plots.importance import importances
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound

SCHEMA = 2
Data = dict[str, Any]


def front_data(
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    teacher: Mapping[str, float] | None = None,
    name: str = "",
    bounds: Sequence[Bound] = (),
    *,
    hardened: Sequence[Data] = (),
    ties: Mapping[int, Sequence[int]] | None = None,
) -> Data:
    """The front of a study's ended trials as plain data, for front.json and for the page.

    Args:
        records: of the ended trials.
        objectives: of the study.
        teacher: what was measured of it.
        name: of the study.
        bounds: its constraints.
        hardened: {defence, measures} of each teacher that a defence hardened.
        ties: the paired ones in robustness, by number (measure.attack_rows.ties).
    """
    front = Front(records, objectives, bounds)
    curve = pareto.hypervolume_curve(front.losses, front.corner).tolist()
    counts = Counter(r.state for r in records)
    ordered = sorted(records, key=lambda record: record.number)
    standing = _Standing(front)
    return {
        "schema_version": SCHEMA,
        "name": name,
        "objectives": [
            {"name": o.name, "goal": o.goal, "reference": o.reference} for o in objectives
        ],
        "constraints": [str(bound) for bound in bounds],
        "counts": {state: counts[state] for state in ("complete", "pruned", "failed")},
        "trials": [
            {
                **_ran(record),
                **standing.of(record),
                "ties": list((ties or {}).get(record.number, ())),
            }
            for record in ordered
        ],
        "front": list(front.members),
        "groups": front.groups,
        "knee": front.knee,
        "hypervolume": curve[-1] if curve else 0.0,
        "hypervolume_curve": [
            [r.number, volume] for r, volume in zip(front.allowed, curve, strict=True)
        ],
        "hypervolume_time": over_time(front),
        "rungs": survival(ordered),
        "importances": importances(front),
        "teacher": None if teacher is None else dict(teacher),
        "hardened": list(hardened),
    }


def measured(data: Data) -> list[Data]:
    """The complete trials, which alone have objectives."""
    return [trial for trial in data["trials"] if trial["state"] == "complete"]


def thinned(data: Data, most: int = 1000) -> Data:
    """The same with an even share of the trials that are not on the front, where those are many.

    Thousands of faint points say no more than a thousand, and each takes two kilobytes of a page.
    `undrawn` counts the others.
    """
    trials = measured(data)
    faint = [t["number"] for t in trials if not t["on_front"] and t["control"] != "kd"]
    if len(faint) <= most:
        return data
    left = set(faint) - {faint[i * len(faint) // most] for i in range(most)}
    kept = [trial for trial in trials if trial["number"] not in left]
    return {**data, "trials": kept, "undrawn": len(left)}


def _ran(record: TrialRecord) -> Data:
    """What a trial was, however it ended."""
    return {
        "number": record.number,
        "state": record.state,
        "reason": record.reason,
        "params": dict(record.params),
        "started": record.started,
        "seconds": record.seconds,
        "epochs": record.rungs[-1].epoch if record.rungs else 0,
    }


class _Standing:
    """Where each trial stands in a front."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._beaten_by = front.dominators()
        self._groups = {number: group for group in front.groups for number in group}
        plain = [
            (o.accuracy, -r.number) for r, o in front.complete if r.params.get("method") == "kd"
        ]
        self._kd = -max(plain)[1] if plain else None

    def of(self, record: TrialRecord) -> Data:
        """What was measured of it, and how it compares."""
        number, outcome = record.number, record.outcome
        taken = outcome.measures() if outcome else {}
        better = self._beaten_by.get(number, [])
        control = "finetune" if record.params.get("method") == "finetune" else None
        return {
            "objectives": {o.name: taken[o.name] for o in self._front.objectives if taken},
            "measures": taken,
            "intervals": {n: [i.low, i.high] for n, i in outcome.intervals.items()}
            if outcome
            else {},
            "on_front": number in self._groups,
            "breaks": self._front.broken(outcome) if outcome else [],
            "dominated_by": list(better),
            "tied_with": [other for other in self._groups.get(number, ()) if other != number],
            "control": "kd" if number == self._kd else control,
            "at_chance": bool(outcome and outcome.at_chance),
        }
