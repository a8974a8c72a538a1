"""What the held-out rows say of each model, as arrays that are drawn again.

A figure has two sources of chance: which rows were asked, and which seed it was trained with. A
draw takes the rows with replacement, the same for every model, since what is hard for one is hard
for all; and n - 1 of a model's n seeds with replacement, which makes the variance of the drawn
means the unbiased s²/n (Rao and Wu 1988). One seed alone says nothing of the second source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Score = Callable[[NDArray[np.intp]], float]  # of drawn rows

DRAWS = 4000


@dataclass(frozen=True, eq=False)
class Sample:
    """One measure of one model over the same rows as all others.

    Attributes:
        rates: (seeds, rows) what each row adds to a mean; None where the measure is no mean.
        scores: the measure of drawn rows, one function a seed; None where `rates` says it.
    """

    rates: Reals | None = None
    scores: Sequence[Score] | None = None

    @property
    def seeds(self) -> int:
        """How many trainings it has."""
        return len(self.rates if self.rates is not None else self.scores or ())

    def values(self, rows: int) -> Reals:
        """The measure of each seed: (seeds,)."""
        if self.rates is not None:
            return np.asarray(self.rates.mean(axis=1), np.float64)
        return np.array([score(np.arange(rows)) for score in self.scores or ()])


def drawn(samples: Sequence[Sample], rows: int, *, draws: int = DRAWS, seed: int = 0) -> Reals:
    """The mean over seeds of each model, drawn again and again: (models, draws).

    Args:
        samples: of the models.
        rows: how many there are.
        draws: how often.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    means = np.empty((len(samples), draws))
    chosen = rng.integers(rows, size=(draws, rows))
    counts = np.stack([np.bincount(one, minlength=rows) for one in chosen]) / rows
    for at, sample in enumerate(samples):
        if sample.rates is not None:
            by_seed = sample.rates @ counts.T  # (seeds, draws)
        else:
            by_seed = np.array([[score(one) for one in chosen] for score in sample.scores or ()])
        means[at] = _over_seeds(by_seed, rng)
    return means


def _over_seeds(by_seed: Reals, rng: np.random.Generator) -> Reals:
    seeds, draws = by_seed.shape
    taken = rng.integers(seeds, size=(max(1, seeds - 1), draws))
    return np.asarray(np.take_along_axis(by_seed, taken, axis=0).mean(axis=0), np.float64)
