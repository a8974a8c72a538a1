"""The trials so far, and what each tells of an objective that is learned.

A complete trial tells what it measured. One that was stopped tells how accurate it would have been:
what those complete trials that stood nearest to it by then ended with. One that failed counts as
the worst of all, and one in flight tells nothing yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tune_distill.outcome import Objective
from tune_distill.space import Params

ALIKE = 10  # complete trials that foretell the end of a stopped one


@dataclass(frozen=True)
class Seen:
    """A trial as far as it is known."""

    params: Params
    final: Mapping[str, float] | None = None  # its objectives, if it is complete
    curve: Sequence[tuple[float, float]] = ()  # (share of its training, accuracy), rising
    allowed: bool = True  # it breaks no constraint
    failed: bool = False
    running: bool = False


def telling(name: str, trials: Sequence[Seen]) -> list[Seen]:
    """Those of the trials that tell something of an objective, by its name; complete ones first."""
    complete = [t for t in trials if t.final]
    curves = name == "accuracy" and any(t.curve for t in complete)
    return complete + [t for t in trials if not t.final and (t.failed or (curves and t.curve))]


def told(axis: Objective, trials: Sequence[Seen]) -> list[tuple[Seen, float, float]]:
    """What these tell: (trial, the objective, its standard deviation beyond the noise of all).

    Args:
        axis: the objective.
        trials: one of them complete, at least.
    """
    name, complete = axis.name, [(t, t.final) for t in trials if t.final]
    worst = (min if axis.goal == "max" else max)(final[name] for _, final in complete)
    curves = [t for t, _ in complete if t.curve]

    def value(trial: Seen) -> tuple[float, float]:
        if trial.final:
            return trial.final[name], 0.0
        return (worst, 0.0) if trial.failed else foretold(trial, curves)

    return [(trial, *value(trial)) for trial in telling(name, trials)]


def foretold(stopped: Seen, ended: Sequence[Seen]) -> tuple[float, float]:
    """The accuracy that a stopped trial would have ended with, and its standard deviation.

    Args:
        stopped: it has a curve.
        ended: complete trials with curves, one at least.
    """
    share, accuracy = stopped.curve[-1]
    known = [(np.array(t.curve), t.final["accuracy"]) for t in ended if t.final]
    then = np.array([np.interp(share, curve[:, 0], curve[:, 1]) for curve, _ in known])
    alike = np.argsort(np.abs(then - accuracy), kind="stable")[:ALIKE]
    rises = np.array([end for _, end in known])[alike] - then[alike]
    return accuracy + float(np.median(rises)), float(rises.std())
