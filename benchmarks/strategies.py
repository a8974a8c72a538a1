"""What searches in a replay: where trials come from, and what stops them. Peers: `peers.py`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import Trial, TrialState
from replay import Order, Student, Table

from tune_distill.outcome import Objective
from tune_distill.scheduler.rungs import Rungs, shares
from tune_distill.searcher.draws import through
from tune_distill.searcher.ehvi import CURVE
from tune_distill.space import Params, Space, at_random

GRACE, FACTOR = 1, 3.0  # of every halving here
Axes = Sequence[Objective]
Made = Callable[[Params, int], Student]  # of a draw and a trial's number


class Source(Protocol):
    """Where trials come from."""

    def ask(self, number: int) -> Student | None:
        """A trial's student; None when there is none."""

    def end(self, number: int, student: Student, epoch: int) -> None:
        """A trial is over."""


class Stopping(Protocol):
    """What stops trials."""

    def stops(self, number: int, student: Student, epoch: int) -> bool:
        """Whether a trial that has ended an epoch is stopped."""


class Searching:
    """A source and a rule."""

    def __init__(self, source: Source, stopping: Stopping) -> None:
        self._source, self._stopping = source, stopping

    def ask(self, number: int) -> Student | None:
        """See `Strategy`, as of the other two."""
        return self._source.ask(number)

    def report(self, number: int, student: Student, epoch: int) -> Order:
        """Goes on or stops."""
        return "stop" if self._stopping.stops(number, student, epoch) else "go"

    def end(self, number: int, student: Student, epoch: int) -> None:
        """Tells the source."""
        self._source.end(number, student, epoch)


class Recorded:
    """The table's own students, each once, in an order of the seed."""

    def __init__(self, table: Table, seed: int) -> None:
        self._left = list(table.students)
        random.Random(seed).shuffle(self._left)

    def ask(self, number: int) -> Student | None:
        """One that was not handed out before."""
        return self._left.pop() if self._left else None

    def end(self, number: int, student: Student, epoch: int) -> None:
        """Nothing is learned."""


class AtRandom:
    """Independent draws of the space."""

    def __init__(self, space: Space, make: Made, seed: int) -> None:
        self._space, self._make, self._suggest = space, make, at_random(random.Random(seed))

    def ask(self, number: int) -> Student:
        """A draw."""
        return self._make(self._space.draw(self._suggest), number)

    def end(self, number: int, student: Student, epoch: int) -> None:
        """Nothing is learned."""


class Sampled:
    """An Optuna sampler as our searcher drives it: stopped trials are PRUNED, without a value.

    Args:
        space: to draw from.
        make: a student of a draw.
        axes: the objectives.
        sampler: Optuna's, or ours.
    """

    def __init__(self, space: Space, make: Made, axes: Axes, sampler: BaseSampler) -> None:
        self._space, self._make, self._axes = space, make, axes
        self._study = optuna.create_study(
            directions=["maximize" if a.goal == "max" else "minimize" for a in axes],
            sampler=sampler,
        )
        self._running: dict[int, Trial] = {}

    def ask(self, number: int) -> Student:
        """A draw."""
        trial = self._running[number] = self._study.ask()
        params = self._space.draw(through(trial))
        trial.set_user_attr("params", params)
        return self._make(params, number)

    def end(self, number: int, student: Student, epoch: int) -> None:
        """COMPLETE with its values, or PRUNED."""
        trial, epochs = self._running.pop(number), len(student.accuracy)
        curve = enumerate(student.accuracy[:epoch], start=1)
        trial.set_user_attr(CURVE, [(at / epochs, float(value)) for at, value in curve])
        if epoch < epochs:
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        measures = student.measures(epoch)
        self._study.tell(trial, [measures[axis.name] for axis in self._axes])


class Never:
    """No early stopping."""

    def stops(self, number: int, student: Student, epoch: int) -> bool:
        """False."""
        return False


class Ours:
    """A rule of `tune_distill.scheduler`."""

    def __init__(self, rule: str, axes: Axes, epochs: int, grace: int = GRACE) -> None:
        self._axes, self._epochs = axes, epochs
        self._rungs = Rungs(shares(grace, FACTOR, epochs), rule, FACTOR)

    def stops(self, number: int, student: Student, epoch: int) -> bool:
        """The rule's verdict."""
        losses = student.losses(self._axes, epoch)
        verdict = self._rungs.reached(number, epoch / self._epochs, losses)
        return verdict is not None and verdict.stop


class Promoting:
    """moasha with promotion: a trial pauses at each rung, and goes on once it is good enough.

    A free worker takes the best paused trial that moasha would let go on now, from the highest rung
    that has one, and begins a new trial where there is none.
    """

    def __init__(self, source: Source, axes: Axes, epochs: int) -> None:
        self._source, self._axes, self._epochs = source, axes, epochs
        self._shares = shares(GRACE, FACTOR, epochs)
        self._rungs = Rungs(self._shares, "moasha", FACTOR)
        self._paused: dict[int, int] = {}  # the rung of each

    def ask(self, number: int) -> Student | int | None:
        """A paused trial, or a new one."""
        for rung in reversed(range(len(self._shares))):
            waiting = [n for n, at in self._paused.items() if at == rung]
            verdicts = {n: self._rungs.again(rung, n) for n in waiting}
            good = [n for n in waiting if not verdicts[n].stop]
            if good:
                best = min(good, key=lambda n: verdicts[n].place)
                del self._paused[best]
                return best
        return self._source.ask(number)

    def report(self, number: int, student: Student, epoch: int) -> Order:
        """Pauses at a rung."""
        losses = student.losses(self._axes, epoch)
        if self._rungs.reached(number, epoch / self._epochs, losses) is None:
            return "go"
        self._paused[number] = sum(at <= epoch / self._epochs + 1e-9 for at in self._shares) - 1
        return "pause"

    def end(self, number: int, student: Student, epoch: int) -> None:
        """Tells the source."""
        self._source.end(number, student, epoch)
