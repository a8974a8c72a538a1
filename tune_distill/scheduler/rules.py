"""Rules of early stopping: what the trials of a rung are worth in, a verdict on one of them out.

moasha  multi-objective asynchronous successive halving (Schmucker et al. 2021, arXiv:2106.12639;
        Salinas et al. 2021, whose epsilon-net it takes): trials are sorted by non-dominated rank,
        and within a rank so that each is as far as can be from those before it (Clarkson 2006).
        The first ceil(n / factor) go on. Unlike in the papers so does all of the rung's front,
        however long it is: a small student is not stopped for not being a large one.
asha    the same on the first objective alone (Li et al. 2018, arXiv:1810.05934).
median  stops what at least half of the others at the rung dominate, once three of them are there;
        with one objective this is the median rule (Golovin et al. 2017).

A trial is judged once, when it reaches a rung, against those that reached it before; so the first
always goes on. The same trials in the same rung make the same verdict, whatever order they came in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.pareto import Losses

OTHERS = 3  # at a rung, before half of them is a majority


@dataclass(frozen=True)
class Verdict:
    """On one trial at one rung."""

    stop: bool
    place: int  # from 1, the best, to `among`
    among: int  # trials at the rung, this one included


def judge(rule: str, losses: Losses, which: int, factor: float) -> Verdict:
    """The verdict of a rule on one trial of a rung.

    Args:
        rule: moasha, asha, median or none.
        losses: (trials, objectives) at the rung, smaller is better.
        which: the row that is judged.
        factor: one in so many goes on; the median needs none.
    """
    among = len(losses)
    if rule == "none":
        return Verdict(False, 1, among)
    if rule == "median":
        better = int(_dominating(losses, which).sum())
        others = among - 1
        return Verdict(others >= OTHERS and 2 * better >= others, better + 1, among)
    if rule == "asha":
        first = losses[:, 0]
        place = 1 + int((first < first[which]).sum())
        return Verdict(place > math.ceil(among / factor), place, among)
    place = _place(losses, which)
    front = not _dominating(losses, which).any()
    return Verdict(not front and place > math.ceil(among / factor), place, among)


def _dominating(losses: Losses, which: int) -> NDArray[np.bool_]:
    """Which rows dominate one: (trials,)."""
    one = losses[which]
    return np.asarray(np.all(losses <= one, axis=1) & np.any(losses < one, axis=1))


def _place(losses: Losses, which: int) -> int:
    """Where one stands, from 1: by its non-dominated rank, then by its place in the rank's net."""
    ranks = pareto.ranks(losses)
    alike = np.flatnonzero(ranks == ranks[which])
    ahead = int((ranks < ranks[which]).sum())
    order = _net(_scaled(losses)[alike])
    return 1 + ahead + int(np.flatnonzero(alike[order] == which)[0])


def _scaled(losses: Losses) -> Losses:
    """Each objective as the share of trials that are better: megabytes beside accuracies."""
    return np.stack([np.searchsorted(np.sort(c), c) for c in losses.T], axis=1) / len(losses)


def _net(points: Losses) -> NDArray[np.intp]:
    """An epsilon-net's order: the best in the first objective, then always the farthest."""
    order = [int(np.lexsort(points.T[::-1])[0])]
    nearest = np.linalg.norm(points - points[order[0]], axis=1)
    while len(order) < len(points):
        nearest[order] = -1.0  # equal points have distance 0, and their turn comes all the same
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(points - points[order[-1]], axis=1))
    return np.array(order, dtype=np.intp)
