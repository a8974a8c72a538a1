"""What the held-out rows say of each model, as arrays that are drawn again.

A figure has two sources of chance: which rows were asked, and which seed it was trained with. A
draw takes the rows with replacement, the same for every model, since what is hard for one is hard
for all; and n - 1 of a model's n seeds with replacement, which makes the variance of the drawn
means the unbiased s²/n (Rao and Wu 1988). One seed alone says nothing of the second source. The
forms of a student (ONNX, int8) have its seeds: a draw takes the same ones of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Score = Callable[[NDArray[np.intp]], float]  # of drawn rows

DRAWS = 4000
CHUNK = 1000  # draws whose rows are in memory at once


@dataclass(frozen=True, eq=False)
class Sample:
    """One measure of one model over the same rows as all others.

    Attributes:
        rates: (seeds, rows) what each row adds to a mean; None where the measure is no mean.
        scores: the measure of drawn rows, one function a seed; None where `rates` says it.
        twin: the place, among the samples, of an earlier one of the same trainings; None where
            these are its own.
    """

    rates: Reals | None = None
    scores: Sequence[Score] | None = None
    twin: int | None = None

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
    taken = _seeds(samples, draws, rng)
    means = np.empty((len(samples), draws))
    for start in range(0, draws, CHUNK):
        part = slice(start, min(start + CHUNK, draws))
        chosen = rng.integers(rows, size=(part.stop - start, rows))
        counts = np.stack([np.bincount(one, minlength=rows) for one in chosen]) / rows
        for at, sample in enumerate(samples):
            if sample.rates is not None:
                by_seed = sample.rates @ counts.T  # (seeds, draws)
            else:
                scores = sample.scores or ()
                by_seed = np.array([[score(one) for one in chosen] for score in scores])
            means[at, part] = np.take_along_axis(by_seed, taken[at][:, part], axis=0).mean(axis=0)
    return means.round(12)  # sums over rows leave 1e-16 of a difference where there is none


def _seeds(
    samples: Sequence[Sample], draws: int, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Of each sample the seeds in each draw: (seeds - 1, draws)."""
    taken: list[NDArray[np.intp]] = []
    for sample in samples:
        seeds, twin = sample.seeds, sample.twin
        if twin is not None and samples[twin].seeds == seeds:
            taken.append(taken[twin])
        else:
            taken.append(rng.integers(seeds, size=(max(1, seeds - 1), draws)))
    return taken
