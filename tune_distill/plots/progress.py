"""How the search went, as plotly figures: hypervolume by trial and by time, survival at rungs."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from tune_distill.plots.data import Data
from tune_distill.plots.style import BLUE, SOFT, VERMILLION, empty

_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def by_trial(data: Data) -> go.Figure:
    """The hypervolume after each complete trial, in their order."""
    numbers = [n for n, _ in data["hypervolume_curve"]]
    fig = _rising(numbers, [v for _, v in data["hypervolume_curve"]], "after trial %{x}: %{y:.4g}")
    on_front = set(data["front"])
    fig.data[0].mode = "lines+markers"
    fig.data[0].marker = {
        "color": [BLUE if n in on_front else "white" for n in numbers],
        "size": 7,
        "line": {"color": BLUE, "width": 1.5},
    }
    fig.update_xaxes(title_text="trial", dtick=1 if max(numbers) < 10 else None)
    return fig


def by_time(data: Data) -> go.Figure:
    """The hypervolume over the clock."""
    seconds = [s for s, _ in data["hypervolume_time"]]
    each, name = next((u for u in _UNITS if seconds[-1] >= 2 * u[0]), _UNITS[-1])
    # Nothing was there at the begin.
    times = [0.0, *(s / each for s in seconds)]
    volumes = [0.0, *(v for _, v in data["hypervolume_time"])]
    fig = _rising(times, volumes, f"after %{{x:.3g}} {name}: %{{y:.4g}}")
    fig.update_xaxes(title_text=f"{name} since the first trial began")
    return fig


def _rising(x: Sequence[float], volumes: Sequence[float], said: str) -> go.Figure:
    fig = empty()
    fig.add_trace(
        go.Scatter(
            x=x,
            y=volumes,
            mode="lines",
            line={"shape": "hv", "color": BLUE, "width": 2},
            fill="tozeroy",
            fillcolor="rgba(0,114,178,0.07)",
            hovertemplate=f"{said}<extra></extra>",
            cliponaxis=False,
        )
    )
    fig.update_xaxes(rangemode="tozero")
    fig.update_yaxes(title_text="hypervolume", rangemode="tozero")
    return fig


def survival(data: Data) -> go.Figure:
    """The trials that reached each epoch: went on, or were at their end with it."""
    rungs = [rung for rung in data["rungs"] if rung["epoch"]]
    ends = ("complete", "pruned", "failed")
    went_on = [rung["reached"] - sum(rung[end] for end in ends) for rung in rungs]
    parts = [("went on", went_on, "#A9CCE3", ""), *(
        (text, [rung[end] for rung in rungs], colour, pattern)
        for text, end, colour, pattern in (
            ("complete", "complete", BLUE, ""),
            ("stopped", "pruned", VERMILLION, "/"),
            ("failed", "failed", SOFT, "x"),
        )
    )]  # fmt: skip
    fig = empty()
    for name, counts, colour, pattern in parts:
        if any(counts):
            fig.add_trace(
                go.Bar(
                    x=[rung["epoch"] for rung in rungs],
                    y=counts,
                    name=name,
                    width=0.62,
                    marker={"color": colour, "pattern": {"shape": pattern, "fgcolor": "white"}},
                    hovertemplate=f"epoch %{{x}}: %{{y}} {name}<extra></extra>",
                )
            )
    fig.update_layout(barmode="stack", showlegend=True, margin_t=34)
    fig.update_layout(legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})
    fig.update_xaxes(title_text="epoch", dtick=1 if len(rungs) < 16 else None, showgrid=False)
    fig.update_yaxes(title_text="trials", rangemode="tozero", tickformat="d")
    return fig
