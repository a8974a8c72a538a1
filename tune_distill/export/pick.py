"""Which finished trial to export: `knee`, `best:accuracy`, `trial:17`, within bounds.

The knee may be tied: where intervals overlap on every objective, the rows cannot tell students
apart (`front.tied_groups`), and the smallest of the knee's group is as good a choice for less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tune_distill.errors import NoFeasibleStudent, SpecError
from tune_distill.front import Front
from tune_distill.outcome import Objective, losses
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound, listed, nearest
from tune_distill.spec.problems import did_you_mean


def asked(texts: Sequence[str]) -> list[Bound]:
    """The bounds of `--where`.

    Raises:
        SpecError: a text that states no bound.
    """
    try:
        return [Bound.parse(text) for text in texts]
    except ValueError as error:
        raise SpecError(f"--where {error}") from None


def pick(
    records: Sequence[TrialRecord],
    objectives: Sequence[Objective],
    rule: str = "knee",
    where: Sequence[Bound] = (),
    say: Callable[[str], None] = lambda _line: None,
) -> TrialRecord:
    """The trial that a rule chooses among the complete ones within the bounds.

    Args:
        records: of all trials.
        objectives: of the study.
        rule: `knee` of the front, or the smallest that is tied with it; `best:MEASURE`, or
            `trial:NUMBER`.
        where: bounds that the chosen trial must satisfy.
        say: hears where a smaller student stands in for the knee.

    Raises:
        NoFeasibleStudent: no complete trial satisfies the bounds; says which comes nearest.
        SpecError: the rule is not one of the three, or names what the study doesn't have.
    """
    complete = [r for r in records if r.state == "complete"]
    allowed = [r for r in complete if r.outcome and all(b.allows(r.outcome) for b in where)]
    if not allowed:
        named = [(f"trial {r.number}", r.outcome) for r in complete if r.outcome]
        raise NoFeasibleStudent(nearest(named, where))
    kind, _, name = rule.partition(":")
    if rule == "knee":
        return _knee(Front(records, objectives, where), say)
    if kind == "best":
        return _best(allowed, objectives, name)
    if kind == "trial":
        return _numbered(allowed, complete, name, where)
    raise SpecError(f"--pick {rule}: use knee, best:MEASURE or trial:NUMBER")


def _knee(front: Front, say: Callable[[str], None]) -> TrialRecord:
    """The smallest of the group in which the knee stands."""
    numbered = {record.number: record for record in front.allowed}
    group, *_ = front.groups
    chosen = min((numbered[number] for number in group), key=_cost)
    if chosen.number != front.knee:
        rest = ", ".join(str(number) for number in group if number != front.knee)
        say(
            f"the knee, trial {front.knee}, is tied with {rest} (95 % intervals overlap in every "
            f"objective): trial {chosen.number} is the smallest; --pick trial:{front.knee} takes "
            "the knee itself"
        )
    return chosen


def _cost(record: TrialRecord) -> tuple[float, ...]:
    outcome = record.outcome
    if outcome is None:
        raise ValueError(f"trial {record.number} has no outcome")
    return outcome.size_mb, outcome.parameters, outcome.flops, record.number


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
        raise NoFeasibleStudent(f"trial {name} does not satisfy {listed(where)}")
    numbers = ", ".join(str(r.number) for r in complete)
    raise SpecError(f"--pick trial:{name}: no such complete trial; complete are {numbers}")
