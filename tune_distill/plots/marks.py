"""What is drawn in a figure of the front: one mark a function, each with a shape of its own.

A point carries its trial's number as `customdata`: page.js writes what hovers over it, and marks
the same trial in the other figures by the trace named `halo`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tune_distill import pareto
from tune_distill.plots.data import Data, measured
from tune_distill.plots.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILLION,
    bars,
    placed,
    uncovered,
)
from tune_distill.plots.words import figure, label

TRIAL = "trial"  # an axis that is no objective
HOVER = "%{hovertext}<extra></extra>"
_FRONT = {"size": 10, "color": BLUE, "line": {"color": "white", "width": 1}}
_FAINT = {"size": 7, "color": GREY, "opacity": 0.45}


def stairs(data: Data, x: str, y: str) -> go.Scatter:
    """What nothing allowed beats in two objectives: the whole front, where there are but two."""
    sign = {o["name"]: -1.0 if o["goal"] == "max" else 1.0 for o in data["objectives"]}
    pairs = [(t["objectives"][x], t["objectives"][y]) for t in measured(data) if not t["breaks"]]
    table = np.array([[sign[x] * a, sign[y] * b] for a, b in pairs]).reshape(-1, 2)
    best = [pairs[i] for i in np.flatnonzero(pareto.front(table))]
    best.sort(key=lambda point: (sign[x] * point[0], sign[y] * point[1]))
    return go.Scatter(
        x=[a for a, _ in best],
        y=[b for _, b in best],
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 1.5},
        opacity=0.45,
        hoverinfo="skip",
    )


def points(data: Data, x: str, y: str, on_front: bool) -> go.Scatter:
    """The front's trials, with their intervals and numbers; or the others, faint."""
    trials = [t for t in measured(data) if t["on_front"] == on_front]
    return go.Scatter(
        x=[_at(t, x) for t in trials],
        y=[_at(t, y) for t in trials],
        mode="markers+text" if on_front else "markers",
        text=_numbers(data, x, y) if on_front else None,
        textposition="top right",
        textfont={"size": 11, "color": BLUE},
        marker=_FRONT if on_front else _FAINT,
        error_x=_bars(trials, x) if on_front else None,
        error_y=_bars(trials, y) if on_front else None,
        customdata=[t["number"] for t in trials],
        hovertemplate=HOVER,
        cliponaxis=False,
    )


def solid(data: Data, axes: Sequence[str], on_front: bool) -> go.Scatter3d:
    """The same in three objectives."""
    trials = [t for t in measured(data) if t["on_front"] == on_front]
    places = {c: [_at(t, name) for t in trials] for c, name in zip("xyz", axes, strict=True)}
    style = {**(_FRONT if on_front else _FAINT), "size": 6 if on_front else 4}
    return go.Scatter3d(
        **places,
        mode="markers",
        marker=style,
        customdata=[t["number"] for t in trials],
        hovertemplate=HOVER,
    )


def controls(data: Data, axes: Sequence[str]) -> go.Scatter | go.Scatter3d:
    """Squares around what the other students are held against; faint where it is dominated."""
    trials = [t for t in measured(data) if t["control"]]
    drawn = _around(trials, axes, "square-open", 15, INK, 1.5)
    faint = "rgba(29,36,48,0.3)"
    drawn.marker.line.color = [INK if t["on_front"] else faint for t in trials]
    drawn.marker.color = drawn.marker.line.color
    return drawn


def knee(data: Data, axes: Sequence[str]) -> go.Scatter | go.Scatter3d:
    """The diamond around the knee."""
    trials = [t for t in measured(data) if t["number"] == data["knee"]]
    return _around(trials, axes, "diamond-open", 19, VERMILLION, 2.5)


def halo(axes: Sequence[str]) -> go.Scatter | go.Scatter3d:
    """Rings around the trial that another figure points at; none at first."""
    return _around([], axes, "circle-open", 24, VERMILLION, 3).update(name="halo")


def _around(
    trials: Sequence[Data], axes: Sequence[str], symbol: str, size: float, colour: str, width: float
) -> go.Scatter | go.Scatter3d:
    places = {c: [_at(t, n) for t in trials] for c, n in zip("xyz", axes, strict=False)}
    line = {"width": width, "color": colour}
    marker = {"symbol": symbol, "size": size, "color": colour, "line": line}
    if len(axes) == 3:
        marker["size"] = size * 0.65
        return go.Scatter3d(**places, mode="markers", marker=marker, hoverinfo="skip")
    return go.Scatter(**places, mode="markers", marker=marker, hoverinfo="skip", cliponaxis=False)


def _numbers(data: Data, x: str, y: str) -> list[str]:
    """The numbers of the front's trials, but for those that would lie upon another."""
    across, up = placed(values(data, x)), placed(values(data, y))
    trials = [t for t in measured(data) if t["on_front"]]
    texts = [numbered(data, trial["number"]) for trial in trials]
    return uncovered(texts, [(across(_at(t, x)), up(_at(t, y))) for t in trials], 0.06, 0.05)


def letters(data: Mapping[str, Any]) -> dict[int, str]:
    """A letter for each group of students that can't be told apart, by trial; A holds the knee."""
    groups = [group for group in data["groups"] if len(group) > 1]
    names = (_letter(i) for i in range(len(groups)))
    return {n: name for name, group in zip(names, groups, strict=True) for n in group}


def _letter(place: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    more, last = divmod(place, 26)
    return (_letter(more - 1) if more else "") + chr(ord("A") + last)


def numbered(data: Data, number: int) -> str:
    """A trial's number, with the letter of its group raised."""
    letter = letters(data).get(number)
    return f"{number}<sup>{letter}</sup>" if letter else str(number)


def values(data: Data, axis: str) -> list[float]:
    """All that is drawn along an axis."""
    teacher = data["teacher"] or {}
    taught = [teacher[axis]] if axis in teacher else []
    return [*(_at(t, axis) for t in measured(data)), *taught]


def _at(trial: Data, axis: str) -> float:
    return float(trial["number"] if axis == TRIAL else trial["objectives"][axis])


def teacher(taught: Mapping[str, float], axes: Sequence[str]) -> go.Scatter | go.Scatter3d:
    """The teacher."""
    lines = [f"{html.escape(label(n))}: {figure(n, v)}" for n, v in taught.items()]
    places = {c: [taught[name]] for c, name in zip("xyz", axes, strict=False)}
    style = {"color": GREEN, "line": {"color": "white", "width": 1}}
    said = {"hovertext": ["<br>".join(["<b>teacher</b>", *lines])], "hovertemplate": HOVER}
    if len(axes) == 3:  # which knows no stars
        return go.Scatter3d(
            **places, mode="markers", marker={**style, "symbol": "cross", "size": 9}, **said
        )
    star = {**style, "symbol": "star", "size": 15}
    return go.Scatter(**places, mode="markers", marker=star, cliponaxis=False, **said)


def _bars(trials: Sequence[Data], name: str) -> dict[str, object] | None:
    ends = [trial["intervals"].get(name) for trial in trials]
    return bars([_at(trial, name) for trial in trials], ends, "rgba(0,114,178,0.35)")
