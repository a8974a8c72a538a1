"""Which phase of a method an update belongs to.

A run of N updates is cut at round(N * the shares so far); each phase has at least one update where
there are as many updates as phases.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from tune_distill.methods import Method, ModelShape, Phase
from tune_distill.signals import Needs
from tune_distill.spec import TrainSpec


@dataclass(frozen=True)
class Leg:
    """A phase of one run."""

    phase: Phase
    start: int  # its first update
    stop: int  # the one after its last
    given: Needs  # asked of the teacher
    asked: Needs  # asked of the student

    def rate(self, update: int, warmup: float) -> float:
        """The learning rate of an update over the training's.

        Args:
            update: of the run, within this leg.
            warmup: the training's own share of updates that warm up.
        """
        warmup = warmup if self.phase.warmup is None else self.phase.warmup
        place, length = update - self.start, self.stop - self.start
        return self.phase.rate * schedule(place, length, warmup, decay=self.phase.decay)


def legs(method: Method, shapes: tuple[ModelShape, ModelShape], updates: int) -> tuple[Leg, ...]:
    """The phases of a run of so many updates; those that get none are left out."""
    phases = method.phases()
    stops = [round(updates * share) for share in accumulate(phase.share for phase in phases)]
    stops = [max(stop, at) for at, stop in enumerate(stops, start=1)]
    starts = [0, *stops[:-1]]
    return tuple(
        Leg(phase, start, min(stop, updates), *phase.method.needs(*shapes))
        for phase, start, stop in zip(phases, starts, stops, strict=True)
        if start < updates
    )


def schedule(update: int, total: int, warmup: float, *, decay: bool = True) -> float:
    """The learning rate of an update over its largest: linear warm-up, then linear decay to 0.

    Args:
        update: from 0.
        total: updates of the whole run.
        warmup: share of `total` that warms up.
        decay: False stays at the largest.
    """
    rising = round(warmup * total)
    if update < rising:
        return (update + 1) / rising
    return (total - update) / max(1, total - rising) if decay else 1.0


def updates_of(config: TrainSpec, rows: int, cost: float = 1.0) -> int:
    """The updates of a whole run; with the budget `compute` as many as cost what plain ones would.

    Args:
        config: the training's.
        rows: of an epoch.
        cost: of the training with its defence, a plain one of as many epochs being 1.
    """
    full = config.epochs * -(-rows // config.batch_size)
    return max(1, round(full / cost)) if config.budget == "compute" else full
