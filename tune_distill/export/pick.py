"""Which finished trial to export: `knee`, `best:accuracy`, `trial:17`, within bounds."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tune_distill import pareto
from tune_distill.errors import NoFeasibleStudent, SpecError
from tune_distill.folder import TrialRecord
from tune_distill.outcome import MEASURES, Objective, losses, reference_losses
from tune_distill.spec.problems import did_you_mean

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_BOUND = re.compile(r"^\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*$")


@dataclass(frozen=True)
class Bound:
    """A bound on a measure, as in `size_mb <= 60`."""

    measure: str
    relation: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Bound:
        """The bound that a text such as `size_mb<=60` states."""
        match = _BOUND.match(text)
        if match is None:
            raise SpecError(f"--where {text!r}: a bound is MEASURE<=NUMBER, as in size_mb<=60")
        measure, relation, limit = match.groups()
        if measure not in MEASURES:
            raise SpecError(
                f"--where {text!r}: unknown measure; a trial has {', '.join(MEASURES)}"
                f"{did_you_mean(measure, MEASURES)}"
            )
        return cls(measure, relation, float(limit))

    def allows(self, record: TrialRecord) -> bool:
        """Whether a complete trial is within the bound; one without the measure is not."""
        value = _measure(record, self.measure)
        return value is not None and _COMPARE[self.relation](value, self.limit)

    def __str__(self) -> str:
        return f"{self.measure} {self.relation} {self.limit:g}"


def pick(
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    rule: str = "knee",
    where: Sequence[Bound] = (),
) -> TrialRecord:
    """The trial that a rule chooses among the complete ones within the bounds.

    Args:
        records: of all trials.
        objectives: of the study.
        rule: `knee` of the front, `best:MEASURE`, or `trial:NUMBER`.
        where: bounds that the chosen trial must satisfy.

    Raises:
        NoFeasibleStudent: no complete trial satisfies the bounds; says which comes nearest.
        SpecError: the rule is not one of the three, or names what the study doesn't have.
    """
    complete = [r for r in records if r.state == "complete"]
    allowed = [r for r in complete if all(bound.allows(r) for bound in where)]
    if not allowed:
        raise NoFeasibleStudent(_nearest(complete, where))
    kind, _, name = rule.partition(":")
    if rule == "knee":
        table = losses([r.outcome for r in allowed if r.outcome], objectives)
        return allowed[pareto.knee(table, reference_losses(objectives))]
    if kind == "best":
        return _best(allowed, objectives, name)
    if kind == "trial":
        return _numbered(allowed, complete, name, where)
    raise SpecError(f"--pick {rule}: use knee, best:MEASURE or trial:NUMBER")


def _best(
    allowed: Sequence[TrialRecord], objectives: Sequence[Objective], name: str
) -> TrialRecord:
    named = [o for o in objectives if o.name == name]
    if not named:
        known = [o.name for o in objectives]
        raise SpecError(
            f"--pick best:{name}: the study's objectives are {', '.join(known)}"
            f"{did_you_mean(name, known)}"
        )
    others = [o for o in objectives if o.name != name]
    table = losses([r.outcome for r in allowed if r.outcome], [*named, *others])
    return allowed[min(range(len(allowed)), key=lambda i: tuple(table[i]))]


def _numbered(
    allowed: Sequence[TrialRecord],
    complete: Sequence[TrialRecord],
    name: str,
    where: Sequence[Bound],
) -> TrialRecord:
    for record in allowed:
        if str(record.number) == name:
            return record
    if any(str(r.number) == name for r in complete):
        raise NoFeasibleStudent(f"trial {name} does not satisfy {_listed(where)}")
    numbers = ", ".join(str(r.number) for r in complete)
    raise SpecError(f"--pick trial:{name}: no such complete trial; complete are {numbers}")


def _nearest(complete: Sequence[TrialRecord], where: Sequence[Bound]) -> str:
    if not complete:
        return "no trial of this study is complete yet"
    for bound in where:
        measured = [(v, r) for r in complete if (v := _measure(r, bound.measure)) is not None]
        if any(bound.allows(r) for _, r in measured):
            continue
        if not measured:
            return f"no trial has measured {bound.measure}; the study's objectives don't ask for it"
        smallest = bound.relation.startswith("<")
        value, nearest = (min if smallest else max)(measured, key=lambda pair: pair[0])
        return (
            f"0 of {len(complete)} trials satisfy {bound}; "
            f"the {'smallest' if smallest else 'largest'} is {value:g} (trial {nearest.number})"
        )
    return f"0 of {len(complete)} trials satisfy {_listed(where)} together"


def _listed(where: Sequence[Bound]) -> str:
    return " and ".join(map(str, where))


def _measure(record: TrialRecord, name: str) -> float | None:
    return record.outcome.measures().get(name) if record.outcome else None


def on_front(
    records: Sequence[TrialRecord], objectives: Sequence[Objective], record: TrialRecord
) -> bool:
    """Whether no complete trial dominates this one."""
    complete = [r for r in records if r.outcome is not None]
    table = losses([r.outcome for r in complete if r.outcome], objectives)
    numbers = [r.number for r in complete]
    return bool(pareto.front(table)[numbers.index(record.number)])
