"""How a search went, as plain data: its hypervolume over time, and how far its trials came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tune_distill import pareto
from tune_distill.front import Front
from tune_distill.record import TrialRecord


def over_time(front: Front) -> list[list[float]]:
    """[seconds, hypervolume] after each trial that satisfies the constraints, as they ended.

    Seconds are of the clock, since the first trial of all began: pauses of the search are in them.
    A trial that was taken up again after a fault ended later than its work says.
    """
    ended = [record.started + record.seconds for record in front.allowed]
    order = sorted(range(len(ended)), key=ended.__getitem__)
    volumes = pareto.hypervolume_curve(front.losses[order], front.corner)
    begin = min((record.started for record in front.records), default=0.0)
    return [[ended[i] - begin, float(volume)] for i, volume in zip(order, volumes, strict=True)]


def survival(records: Sequence[TrialRecord]) -> list[dict[str, int]]:
    """How many trials reported each epoch, and in which state those are whose last one it was.

    Epoch 0 is that of all; who has no other ended before a first report.
    """
    last = [(record.rungs[-1].epoch if record.rungs else 0, record.state) for record in records]
    at_end = Counter(last)
    return [
        {
            "epoch": epoch,
            "reached": sum(end >= epoch for end, _ in last),
            **{state: at_end[epoch, state] for state in ("complete", "pruned", "failed")},
        }
        for epoch in range(max((end for end, _ in last), default=-1) + 1)
    ]
