"""The Pareto front of an array of losses: arrays in, arrays out, smaller is better in every column.

A point dominates another where it is no worse in every objective and better in one. The front is
what nothing dominates; equal points do not dominate each other, so ties stay on the front together.

Hypervolume (Zitzler and Thiele 1998) is the volume that the front dominates below a reference
point; a point that is not better than the reference in every objective adds nothing. It and the
test for dominance are computed by moocore, in O(n log n) for two and three objectives (Fonseca,
Paquete and López-Ibáñez 2006).

The knee is the compromise solution (Zeleny 1973): with each objective scaled by the front's own
ideal (0, the best) and nadir (1, the worst), the member at the least Euclidean distance from the
ideal. Unlike the distance from the plane through the extremes (Das 1999) it is defined for any
number of members and objectives, and for a front that has no width in one of them.
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]  # (points, objectives)
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]


def front(losses: Losses) -> Mask:
    """Which points nothing dominates: (points,)."""
    losses = _checked(losses)
    if not len(losses):
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(moocore.is_nondominated(losses, keep_weakly=True), dtype=np.bool_)


def ranks(losses: Losses, least: int | None = None) -> Indices:
    """Non-dominated sorting: 0 on the front, 1 on the front of the rest, and so on; (points,).

    With `least` only until so many are sorted; all others get the rank that comes next.
    """
    losses = _checked(losses)
    result = np.zeros(len(losses), dtype=np.intp)
    left = np.arange(len(losses))
    rank = 0
    least = len(losses) if least is None else least
    while len(left):  # moocore's own pareto_rank calls every point of one objective equal
        if len(losses) - len(left) >= least:
            result[left] = rank
            break
        best = front(losses[left])
        result[left[best]] = rank
        left = left[~best]
        rank += 1
    return result


def dominators(losses: Losses) -> list[Indices]:
    """For each point the members of the front that dominate it; none for the front itself.

    Whatever is dominated at all is dominated by a member of the front.
    """
    losses = _checked(losses)
    members = np.flatnonzero(front(losses))
    table = losses[members]
    return [
        members[np.all(table <= point, axis=1) & np.any(table < point, axis=1)] for point in losses
    ]


def hypervolume(losses: Losses, reference: NDArray[np.float64]) -> float:
    """The volume that the points dominate below the reference: (objectives,)."""
    losses, reference = _checked(losses), _corner(losses, reference)
    inside = losses[np.all(losses < reference, axis=1)]
    return float(moocore.hypervolume(inside, ref=reference)) if len(inside) else 0.0


def hypervolume_curve(losses: Losses, reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The hypervolume of the first 1, 2, ... points: (points,), never falling."""
    losses, reference = _checked(losses), _corner(losses, reference)
    curve = np.zeros(len(losses))
    members = losses[:0]
    volume = 0.0
    for i, point in enumerate(losses):
        adds = np.all(point < reference) and not np.any(np.all(members <= point, axis=1))
        if adds:
            members = np.vstack([members[~np.all(point <= members, axis=1)], point])
            volume = max(volume, hypervolume(members, reference))  # rounding must not let it fall
        curve[i] = volume
    return curve


def improvements(members: Losses, points: Losses, reference: NDArray[np.float64]) -> Losses:
    """What each point by itself would add to the hypervolume of a front: (points,).

    That is its own box towards the reference, less what the members dominate of it.

    Args:
        members: (members, objectives)
        points: (points, objectives)
        reference: (objectives,)
    """
    members, points = _checked(members), _checked(points)
    reference = _corner(points, reference)
    boxes = np.maximum(reference - points, 0.0).prod(axis=1)
    if not len(members):
        return np.asarray(boxes)
    if points.shape[1] != 2:
        covered = [
            hypervolume(np.maximum(members, point), reference) if box else 0.0
            for point, box in zip(points, boxes, strict=True)
        ]
        return np.asarray(boxes - covered)
    stairs = members[front(members)]
    stairs = np.vstack([stairs[np.lexsort(stairs.T[::-1])], reference])  # rising, falling
    x = np.maximum(stairs[None, :, 0], points[:, None, 0])  # (points, members + 1)
    y = np.maximum(stairs[None, :-1, 1], points[:, None, 1])
    widths = np.maximum(np.minimum(x[:, 1:], reference[0]) - x[:, :-1], 0.0)
    covered = (widths * np.maximum(reference[1] - y, 0.0)).sum(axis=1)
    return np.asarray(np.maximum(boxes - covered, 0.0))


def knee(losses: Losses, reference: NDArray[np.float64] | None = None) -> int:
    """The row of the front's compromise solution.

    Args:
        losses: (points, objectives); the front is taken from them.
        reference: (objectives,) the worst values of interest. Members that are not better in every
            objective neither are chosen nor scale the others, unless no member is.

    Returns:
        A row of `losses`. Of several at the same distance, the one that is better in the first
        objective, then in the second, and so on.

    Raises:
        ValueError: no points.
    """
    losses = _checked(losses)
    members = np.flatnonzero(front(losses))
    if not len(members):
        raise ValueError("no points, so no knee")
    if reference is not None:
        of_interest = np.all(losses[members] < _corner(losses, reference), axis=1)
        members = members[of_interest] if of_interest.any() else members
    table = losses[members]
    ideal = table.min(axis=0)
    return int(members[_nearest(table, ideal, _width(table))])


def nearest(losses: Losses, target: NDArray[np.float64]) -> int:
    """The row at the least distance from a target: (objectives,), each objective over its range.

    Raises:
        ValueError: no points.
    """
    losses, target = _checked(losses), _corner(losses, target)
    if not len(losses):
        raise ValueError("no points, so none is nearest")
    return _nearest(losses, target, _width(losses))


def _nearest(table: Losses, target: NDArray[np.float64], width: NDArray[np.float64]) -> int:
    # Exact ties are common (two members are always equally far); rounding must not break them.
    distances = np.round(np.sum(((table - target) / width) ** 2, axis=1), 12)
    return min(range(len(table)), key=lambda i: (distances[i], *table[i]))


def _width(table: Losses) -> NDArray[np.float64]:
    width = np.ptp(table, axis=0)
    return np.where(width > 0, width, 1.0)


def _checked(losses: Losses) -> Losses:
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or not losses.shape[1]:
        raise ValueError(f"losses are (points, objectives), got the shape {losses.shape}")
    if not np.isfinite(losses).all():
        raise ValueError("losses must be finite: a NaN is comparable to nothing")
    return losses


def _corner(losses: Losses, point: NDArray[np.float64]) -> NDArray[np.float64]:
    point = np.asarray(point, dtype=np.float64)
    if point.shape != losses.shape[1:]:
        raise ValueError(f"{losses.shape[1]} objectives, but a point of the shape {point.shape}")
    return point
