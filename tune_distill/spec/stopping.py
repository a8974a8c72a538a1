"""When a trial is stopped before its end: `search.stop_early`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import Field

from tune_distill.space import Branch, Divisors, Space
from tune_distill.spec.knobs import Frozen, PositiveInt

MEASURED = ("accuracy", "robust_worst")  # at each rung; the latter by its guard


class StoppingSpec(Frozen):
    """A rule, and where its rungs are: scheduler/rules.py, scheduler/rungs.py."""

    rule: Literal["none", "moasha", "asha", "median"] = "none"
    grace: PositiveInt = 1  # epochs of the longest training before the first rung
    factor: Annotated[float, Field(gt=1)] = 3.0  # from rung to rung; one trial in so many goes on


def longest(space: Space) -> int:
    """Epochs of the longest training that a space can draw."""
    entry = space.at("train.epochs")
    if entry is None or isinstance(entry, Branch | Divisors):
        raise ValueError(f"train.epochs is drawn from numbers, got {entry}")
    return max(int(value) for value in entry.ends() if value is not None)


def misfit(stopping: StoppingSpec, objectives: Collection[str], space: Space) -> str:
    """Why a study has no use for its rule; nothing where it has."""
    if stopping.rule == "none":
        return ""
    epochs, measured = longest(space), [name for name in MEASURED if name in objectives]
    if epochs <= stopping.grace:
        return (
            f"search.stop_early.grace: {stopping.grace}, and no training has more than {epochs} "
            "epochs, so there is nothing to stop; more epochs, a smaller grace, or rule: none"
        )
    if not measured or (stopping.rule == "asha" and "accuracy" not in measured):
        needed = "accuracy" if stopping.rule == "asha" else " or ".join(MEASURED)
        return (
            f"search.stop_early.rule: {stopping.rule} judges {needed}, as the only ones that are "
            "learned and measured at every rung, and the study has no such objective"
        )
    return ""
