"""A confirmed front with its uncertainty, as plotly figures: what confirm.json holds, drawn.

A point is the mean over fresh seeds on the held-out rows, its bars the 95 % intervals of the
measures that have one. The shape is the form (circle PyTorch, square ONNX, triangle int8), or a
diamond for a control; filled and blue is on the confirmed front.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from tune_distill.plots.style import BLUE, GREEN, GREY, axis, bars, empty, placed, uncovered
from tune_distill.plots.words import bare, figure, label

SHAPES = {"pytorch": "circle", "onnx": "square", "int8": "triangle-up"}
CONTROL, LATENCY = "diamond", "latency_ms"
_WIDE, _HIGH = 0.06, 0.06  # of the axes: room for a number
_FAINT = "rgba(93,100,114,0.35)"  # of bars


def projections(told: Mapping[str, Any]) -> list[tuple[str, go.Figure]]:
    """Each pair of objectives, and the first of them that is gained against the latency.

    Args:
        told: confirm.json.

    Returns:
        (title, figure) of each.
    """
    goals = {one["name"]: one["goal"] for one in told["objectives"]}
    pairs = [
        (b, a) if (goals[a], goals[b]) == ("max", "min") else (a, b)
        for a, b in itertools.combinations(goals, 2)
    ]
    if told["latency"]:
        gained = next((name for name, goal in goals.items() if goal == "max"), next(iter(goals)))
        pairs.append((LATENCY, gained))
        goals[LATENCY] = "min"
    return [(f"{bare(y)} against {bare(x)}", _projection(told, x, y, goals)) for x, y in pairs]


def _projection(told: Mapping[str, Any], x: str, y: str, goals: Mapping[str, str]) -> go.Figure:
    fig, models = empty(), [one for one in told["models"] if _has(one, x) and _has(one, y)]
    for on_front in (False, True):
        fig.add_trace(_points([m for m in models if m["on_front"] == on_front], x, y, on_front))
    drawn = [[_value(one, name) for one in models] for name in (x, y)]
    taught = _teacher(told)
    if _has(taught, x) and _has(taught, y):
        fig.add_trace(_star(taught, x, y))
        drawn = [
            [*values, _value(taught, name)] for values, name in zip(drawn, (x, y), strict=True)
        ]
    axis(fig.update_xaxes, x, goals[x], drawn[0])
    axis(fig.update_yaxes, y, goals[y], drawn[1])
    return fig


def _points(models: Sequence[Mapping[str, Any]], x: str, y: str, on_front: bool) -> go.Scatter:
    shapes = [SHAPES[m["form"]] if m["role"] == "front" else CONTROL for m in models]
    return go.Scatter(
        x=[_value(one, x) for one in models],
        y=[_value(one, y) for one in models],
        mode="markers+text" if on_front else "markers",
        text=_numbers(models, x, y) if on_front else None,
        textposition="top right",
        textfont={"size": 11, "color": BLUE},
        marker={
            "symbol": shapes if on_front else [f"{shape}-open" for shape in shapes],
            "size": 10 if on_front else 9,
            "color": BLUE if on_front else GREY,
        },
        error_x=_bars(models, x, on_front),
        error_y=_bars(models, y, on_front),
        hovertext=[_described(one, (x, y)) for one in models],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )


def _star(taught: Mapping[str, Any], x: str, y: str) -> go.Scatter:
    return go.Scatter(
        x=[_value(taught, x)],
        y=[_value(taught, y)],
        mode="markers",
        marker={"symbol": "star", "size": 15, "color": GREEN},
        error_x=_bars([taught], x, on_front=False),
        error_y=_bars([taught], y, on_front=False),
        hovertext=[_described(taught, (x, y))],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )


def _teacher(told: Mapping[str, Any]) -> dict[str, Any]:
    """The teacher in the shape of a model."""
    intervals = told["teacher_intervals"]
    return {
        "name": "teacher",
        "objectives": told["teacher"],
        "heldout": {name: {"interval": one} for name, one in intervals.items()},
        "latency": told["teacher_latency"],
    }


def _has(model: Mapping[str, Any], name: str) -> bool:
    return bool(model["latency"]) if name == LATENCY else name in model["objectives"]


def _value(model: Mapping[str, Any], name: str) -> float:
    return float(model["latency"]["median_ms"] if name == LATENCY else model["objectives"][name])


def _interval(model: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """95 %, of a measure that has one."""
    if name not in model["heldout"]:
        return None
    found = model["heldout"][name]["interval"]
    return found["low"], found["high"]


def _bars(
    models: Sequence[Mapping[str, Any]], name: str, on_front: bool
) -> dict[str, object] | None:
    ends = [_interval(one, name) for one in models]
    colour = "rgba(0,114,178,0.45)" if on_front else _FAINT
    return bars([_value(one, name) for one in models], ends, colour)


def _described(model: Mapping[str, Any], names: Sequence[str]) -> str:
    """A model in a few lines of hover text."""
    lines = [f"<b>{html.escape(model['name'])}</b>"]
    for name in names:
        interval = _interval(model, name)
        beside = f" ({', '.join(figure(name, end) for end in interval)})" if interval else ""
        lines.append(f"{html.escape(label(name))}: {figure(name, _value(model, name))}{beside}")
    if "front_probability" in model:
        lines.append(f"on the front in {model['front_probability']:.0%} of draws")
    return "<br>".join(lines)


def _numbers(models: Sequence[Mapping[str, Any]], x: str, y: str) -> list[str]:
    """The trials' numbers, but for those that would lie upon another; the shape says the form."""
    if not models:
        return []
    ends = [[_value(one, name) for one in models] for name in (x, y)]
    across, up = ([*map(placed(one), one)] for one in ends)
    texts = [str(model["trial"]) for model in models]
    return uncovered(texts, list(zip(across, up, strict=True)), _WIDE, _HIGH)
