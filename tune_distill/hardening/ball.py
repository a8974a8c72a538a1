"""Perturbations of a batch's embeddings, (batch, length, width), each row within a ball.

    |d|                sqrt of the sum of squares over a row's tokens and width
    direction(g)       g / |g|
    project(d, r)      d * min(1, r / |d|)
    climb              K times: d <- project(d + step * direction(gradient of L(d)), r)

Lengths are shares of the mean length of the student's word embeddings: at 1, all of a row's tokens
together are moved as far as one word lies from the origin. Absolute ones, as published, mean
something else for each model. They grow at the start of the stage (`Pushing.rise`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tune_distill.hardening.base import Update
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor

CLIMB = 2 / 3  # cost of a step of `climb` over a plain pass: no gradients of the weights
TINY = 1e-20  # in the place of a length of 0: nothing is divided by it


def direction(gradient: Tensor) -> Tensor:
    """Each row over its length; 0 stays 0."""
    return gradient / _length(gradient)


def project(delta: Tensor, radius: Tensor) -> Tensor:
    """Each row shortened to `radius` if it is longer."""
    return delta * (radius / _length(delta)).clamp(max=1)


def climb(
    update: Update,
    objective: Callable[[Signals], Tensor],
    delta: Tensor,
    *,
    steps: int,
    step: Tensor,
    radius: Tensor,
) -> Tensor:
    """The perturbation after some steps up the objective; no weight's gradient is touched."""
    for _ in range(steps):
        gradient = slope(update, objective, delta)
        delta = project(delta + step * direction(gradient), radius)
    return delta


def slope(update: Update, objective: Callable[[Signals], Tensor], delta: Tensor) -> Tensor:
    """The gradient of an objective at a perturbation."""
    from torch.autograd import grad

    delta = delta.detach().requires_grad_()
    return grad(objective(update.forward(delta)), delta)[0]


def risen(delta: Tensor) -> Tensor:
    """The gradient that a backward pass has left at a perturbation."""
    if delta.grad is None:
        raise ValueError("the loss doesn't depend on the embeddings")
    return delta.grad


def recorded(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Terms without their graph."""
    return {name: term.detach() for name, term in terms.items()}


def _length(delta: Tensor) -> Tensor:
    lengths: Tensor = delta.flatten(1).norm(dim=1).clamp(min=TINY)[:, None, None]
    return lengths
