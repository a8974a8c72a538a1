"""A Gaussian process on points of a search space (Rasmussen & Williams 2006, chapters 2 and 5).

Matérn 5/2 over all coordinates, a length scale each; two values of a coordinate without an order
are 1 apart where they differ. Scales are the most probable ones under log-normal priors: that of
lengths grows with the root of the number of coordinates, so that a dozen points in a dozen
coordinates are not taken for a dozen islands (Hvarfner et al. 2024, arXiv:2402.02229).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

STEPS = 30  # of L-BFGS, at most
FAR = 4.0  # of the priors' standard deviations, beyond which no scale goes
JITTER = 1e-8
SQRT5 = math.sqrt(5.0)
SIGNAL = (0.0, 0.5)  # of log variance: mean, standard deviation; targets are standardised
NOISE = (math.log(0.05), 1.0)  # the same, of a measure over about a thousand rows


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread within: more wait for each other where trials keep the cores busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class Process:
    """What is known of a function after some noisy values of it."""

    nominal: NDArray[np.bool_]  # (coordinates,) which of them have no order
    at: Tensor  # (points, coordinates)
    scales: Tensor  # (coordinates + 2,) logarithms: lengths, signal's variance, noise's
    mean: float
    sd: float
    factor: Tensor  # (points, points) Cholesky's, of the covariance with noise
    weights: Tensor  # (points,)

    @classmethod
    def fit(
        cls,
        at: Array,
        values: Array,
        spread: Array,
        nominal: NDArray[np.bool_],
        begin: Self | None = None,
    ) -> Self:
        """The process given values.

        Args:
            at: (points, coordinates), those with an order within [0, 1].
            values: (points,)
            spread: (points,) how uncertain each is, beyond the noise of all: standard deviations.
            nominal: (coordinates,) which have no order.
            begin: where the search for the scales begins: an earlier process; None is the priors.
        """
        points, mean, sd = torch.from_numpy(at), float(values.mean()), float(values.std()) or 1.0
        targets = torch.from_numpy((values - mean) / sd)
        apart, extra = _apart(points, points, nominal), torch.from_numpy((spread / sd) ** 2)
        prior, width = _prior(at.shape[1])
        scales = (prior if begin is None else begin.scales).clone().requires_grad_()
        optimiser = torch.optim.LBFGS([scales], max_iter=STEPS, line_search_fn="strong_wolfe")

        def within(scales: Tensor) -> Tensor:
            """Never so extreme that the covariance could not be factorised."""
            return scales.clamp(prior - FAR * width, prior + FAR * width)

        def misfit() -> Tensor:
            optimiser.zero_grad()
            factor, weights = _solved(apart, within(scales), targets, extra)
            evidence = -0.5 * (targets @ weights) - factor.diagonal().log().sum()
            loss: Tensor = 0.5 * (((scales - prior) / width) ** 2).sum() - evidence
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimiser.step(misfit)  # type: ignore[no-untyped-call]
        found = within(scales.detach())
        found = found if bool(found.isfinite().all()) else prior
        return cls(nominal, points, found, mean, sd, *_solved(apart, found, targets, extra))

    def given(self, at: Array, values: Array, spread: Array) -> Self:
        """The process of other points and values with the same scales."""
        points = torch.from_numpy(at)
        targets = torch.from_numpy((values - self.mean) / self.sd)
        apart, extra = (
            _apart(points, points, self.nominal),
            torch.from_numpy((spread / self.sd) ** 2),
        )
        solved = _solved(apart, self.scales, targets, extra)
        return type(self)(self.nominal, points, self.scales, self.mean, self.sd, *solved)

    def predict(self, at: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the function itself, without noise: (points,) each."""
        across = _covariance(_apart(torch.from_numpy(at), self.at, self.nominal), self.scales)
        mean = across @ self.weights
        left = torch.linalg.solve_triangular(self.factor, across.T, upper=False)
        variance = (self.scales[-2].exp() - (left**2).sum(dim=0)).clamp_min(1e-12)
        return self.mean + self.sd * mean.numpy(), self.sd * variance.sqrt().numpy()


def _prior(coordinates: int) -> tuple[Tensor, Tensor]:
    """Means and standard deviations of the scales' logarithms: (coordinates + 2,) each."""
    length = (math.log(0.5) + 0.5 * math.log(coordinates), 1.0)
    table = torch.tensor([length] * coordinates + [SIGNAL, NOISE], dtype=torch.float64)
    return table[:, 0], table[:, 1]


def _apart(a: Tensor, b: Tensor, nominal: NDArray[np.bool_]) -> Tensor:
    """Squared differences: (points of a, points of b, coordinates)."""
    difference = a[:, None] - b[None]
    return torch.where(torch.from_numpy(nominal), (difference != 0).double(), difference**2)


def _covariance(apart: Tensor, scales: Tensor) -> Tensor:
    squared = apart @ (-2 * scales[:-2]).exp()
    r = (squared + 1e-12).sqrt()
    return scales[-2].exp() * (1 + SQRT5 * r + 5 / 3 * squared) * (-SQRT5 * r).exp()


def _solved(apart: Tensor, scales: Tensor, targets: Tensor, extra: Tensor) -> tuple[Tensor, Tensor]:
    noise = torch.diag(scales[-1].exp() + JITTER + extra)
    factor = torch.linalg.cholesky(_covariance(apart, scales) + noise)
    return factor, torch.cholesky_solve(targets[:, None], factor)[:, 0]
