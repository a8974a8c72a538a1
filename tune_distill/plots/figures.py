"""The data of front.json as plotly figures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from tune_distill.plots import marks
from tune_distill.plots.data import Data
from tune_distill.plots.words import label, tick

_INK = "#1D2430"
_GRID, _LINE = "#E9ECF1", "#C9CFD8"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ARROWS = {
    ("min", "max"): "↖ better",
    ("max", "max"): "better ↗",
    ("min", "min"): "↙ better",
    ("max", "min"): "better ↘",
}


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
    fig = _figure()
    fig.add_trace(marks.stairs(data, x, y))
    fig.add_trace(marks.points(data, x, y, on_front=False))
    fig.add_trace(marks.points(data, x, y, on_front=True))
    fig.add_trace(marks.knee(data, x, y))
    teacher = data["teacher"] or {}
    if x in teacher and y in teacher:
        fig.add_trace(marks.teacher(teacher, x, y))
    _axis(fig.update_xaxes, x, goals[x], marks.values(data, x))
    _axis(fig.update_yaxes, y, goals[y], marks.values(data, y))
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
        font={"color": marks.GREY, "size": 12},
    )
    return fig


def progress(data: Data) -> go.Figure:
    """The hypervolume after each complete trial."""
    numbers = [n for n, _ in data["hypervolume_curve"]]
    volumes = [v for _, v in data["hypervolume_curve"]]
    on_front = set(data["front"])
    fig = _figure()
    fig.add_trace(
        go.Scatter(
            x=numbers,
            y=volumes,
            mode="lines+markers",
            line={"shape": "hv", "color": marks.BLUE, "width": 2},
            marker={"color": [marks.BLUE if n in on_front else "white" for n in numbers]}
            | {"size": 7, "line": {"color": marks.BLUE, "width": 1.5}},
            fill="tozeroy",
            fillcolor="rgba(0,114,178,0.07)",
            hovertemplate="after trial %{x}: %{y:.4g}<extra></extra>",
            cliponaxis=False,
        )
    )
    fig.update_xaxes(title_text="trial", rangemode="tozero", dtick=1 if max(numbers) < 10 else None)
    fig.update_yaxes(title_text="hypervolume", rangemode="tozero")
    return fig


def single(data: Data, name: str) -> go.Figure:
    """The one objective of a study, over its trials."""
    fig = _figure()
    fig.add_trace(marks.points(data, marks.TRIAL, name, on_front=False))
    fig.add_trace(marks.points(data, marks.TRIAL, name, on_front=True))
    if name in (data["teacher"] or {}):
        fig.add_hline(y=data["teacher"][name], line={"color": marks.GREEN, "dash": "dot"})
    fig.update_xaxes(title_text="trial", rangemode="tozero")
    _axis(fig.update_yaxes, name, data["objectives"][0]["goal"], marks.values(data, name))
    return fig


def _figure() -> go.Figure:
    fig = go.Figure()
    fig.update_layout(
        template="none",
        showlegend=False,
        font={"family": _FONT, "size": 12, "color": _INK},
        margin={"l": 64, "r": 18, "t": 14, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": "white", "bordercolor": _LINE, "font": {"size": 12, "color": _INK}},
        hoverlabel_align="left",
    )
    fig.update_xaxes(gridcolor=_GRID, linecolor=_LINE, zeroline=False, ticks="outside")
    fig.update_yaxes(gridcolor=_GRID, linecolor=_LINE, zeroline=False, ticks="outside")
    fig.update_xaxes(tickcolor=_LINE, title_standoff=10, title_font_size=13, automargin=True)
    fig.update_yaxes(tickcolor=_LINE, title_standoff=12, title_font_size=13, automargin=True)
    return fig


def _axis(update: Callable[..., object], name: str, goal: str, values: Sequence[float]) -> None:
    update(title_text=label(name))
    if goal == "min" and marks.logarithmic(values):
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        steps = (1, 2, 5) if high - low <= 3 else (1,)
        ticks = [m * 10.0**e for e in range(low - 1, high + 1) for m in steps]
        update(type="log", tickvals=ticks, ticktext=[tick(t) for t in ticks])
