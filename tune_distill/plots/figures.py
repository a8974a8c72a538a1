"""The front as plotly figures: its projections, three objectives at once, or one alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import plotly.graph_objects as go

from tune_distill.plots import marks
from tune_distill.plots.data import Data
from tune_distill.plots.style import GREEN, LINE, SOFT, axis, empty

_ARROWS = {
    ("min", "max"): "↖ better",
    ("max", "max"): "better ↗",
    ("min", "min"): "↙ better",
    ("max", "min"): "better ↘",
}
_CAMERA = {"eye": {"x": -1.45, "y": -1.75, "z": 0.75}, "center": {"x": 0, "y": 0, "z": -0.12}}


def pairs(data: Data) -> list[tuple[str, str]]:
    """The (x, y) of each projection; what a student costs lies below what it is worth."""
    goals = {o["name"]: o["goal"] for o in data["objectives"]}
    return [
        (b, a) if (goals[a], goals[b]) == ("max", "min") else (a, b)
        for a, b in itertools.combinations(goals, 2)
    ]


def projection(data: Data, x: str, y: str) -> go.Figure:
    """All complete trials in two of the objectives."""
    goals = {o["name"]: o["goal"] for o in data["objectives"]}
    fig = empty()
    fig.add_trace(marks.stairs(data, x, y))
    fig.add_trace(marks.points(data, x, y, on_front=False))
    fig.add_trace(marks.points(data, x, y, on_front=True))
    _beside(fig, data, (x, y))
    axis(fig.update_xaxes, x, goals[x], marks.values(data, x))
    axis(fig.update_yaxes, y, goals[y], marks.values(data, y))
    right, top = goals[x] == "max", goals[y] == "max"
    fig.add_annotation(
        text=_ARROWS[goals[x], goals[y]],
        xref="paper",
        yref="paper",
        x=0.99 if right else 0.01,
        y=0.99 if top else 0.01,
        xanchor="right" if right else "left",
        yanchor="top" if top else "bottom",
        showarrow=False,
        font={"color": SOFT, "size": 12},
    )
    return fig


def solid(data: Data) -> go.Figure:
    """All complete trials in the first three objectives; a drag turns it."""
    first = data["objectives"][:3]
    names = [o["name"] for o in first]
    fig = empty()
    fig.add_trace(marks.solid(data, names, on_front=False))
    fig.add_trace(marks.solid(data, names, on_front=True))
    _beside(fig, data, names)
    box = {"gridcolor": LINE, "backgroundcolor": "white", "zeroline": False}
    box |= {"showspikes": False, "tickfont": {"size": 10}}
    scene = {"camera": _CAMERA, "aspectmode": "cube"}
    fig.update_layout(scene=scene, uirevision="kept", margin={"l": 0, "r": 0, "t": 0, "b": 0})
    fig.update_scenes(xaxis=box, yaxis=box, zaxis=box)
    for objective, letter in zip(first, "xyz", strict=True):
        name, own = objective["name"], fig.layout.scene[f"{letter}axis"]
        axis(own.update, name, objective["goal"], marks.values(data, name))
        own.title.font.size = 11
    return fig


def _beside(fig: go.Figure, data: Data, axes: Sequence[str]) -> None:
    """The marks around points, and the teacher where it was measured."""
    fig.add_trace(marks.knee(data, axes))
    fig.add_trace(marks.controls(data, axes))
    taught = data["teacher"] or {}
    if all(name in taught for name in axes):
        fig.add_trace(marks.teacher(taught, axes))
    fig.add_trace(marks.halo(axes))


def single(data: Data, name: str) -> go.Figure:
    """The one objective of a study, over its trials."""
    fig = empty()
    fig.add_trace(marks.points(data, marks.TRIAL, name, on_front=False))
    fig.add_trace(marks.points(data, marks.TRIAL, name, on_front=True))
    fig.add_trace(marks.halo((marks.TRIAL, name)))
    if name in (data["teacher"] or {}):
        fig.add_hline(y=data["teacher"][name], line={"color": GREEN, "dash": "dot"})
    fig.update_xaxes(title_text="trial", rangemode="tozero")
    axis(fig.update_yaxes, name, data["objectives"][0]["goal"], marks.values(data, name))
    return fig
