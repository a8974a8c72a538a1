"""What the knobs do, as plotly figures: each trial as a line over them, and how much each tells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from tune_distill.plots.data import Data, measured
from tune_distill.plots.style import (
    BLUE,
    INK,
    LINE,
    SOFT,
    VERMILLION,
    empty,
    log_ticks,
    logarithmic,
)
from tune_distill.plots.words import knob, label, setting, tick

_SEED = "train.seed"
_SHOWN = 12  # knobs in a figure of importances
_STEPS = 8  # values of a number that are ticks of their own
ABSENT = "none"  # of a knob that a trial doesn't have

# Dominated, on the front, pointed at: page.js writes 2 for the last.
_COLOURS = [[0.0, "#B4BAC4"], [0.5, BLUE], [1.0, VERMILLION]]


def parallel(data: Data) -> go.Figure:
    """A line for each complete trial over the knobs that vary, then over the objectives."""
    # What is drawn last lies on top: the front.
    trials = sorted(measured(data), key=lambda t: t["on_front"])
    lines = [_knob(name, [t["params"].get(name) for t in trials]) for name in _varying(trials)]
    for objective in data["objectives"]:
        name = objective["name"]
        lines.append(_number(label(name), [t["objectives"][name] for t in trials]))
    fig = empty()
    fig.add_trace(
        go.Parcoords(
            dimensions=lines,
            line={
                "color": [int(t["on_front"]) for t in trials],
                "colorscale": _COLOURS,
                "cmin": 0,
                "cmax": 2,
            },
            customdata=[t["number"] for t in trials],
            labelangle=-20,
            labelfont={"size": 12, "color": INK},
            tickfont={"size": 11, "color": INK},
            rangefont={"size": 11, "color": "rgba(0,0,0,0)"},  # the ticks say it
            unselected={"line": {"color": LINE, "opacity": 0.15}},
        )
    )
    fig.update_layout(margin={"l": 70, "r": 88, "t": 76, "b": 18})
    return fig


def _varying(trials: Sequence[Data]) -> list[str]:
    names = dict.fromkeys(name for t in trials for name in t["params"] if name != _SEED)
    return [n for n in names if len({repr(t["params"].get(n)) for t in trials}) > 1]


def _knob(name: str, drawn: Sequence[Any]) -> dict[str, Any]:
    """The axis of a knob; trials that don't have it end below the others."""
    has = [v for v in drawn if v is not None]
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in has)
    if not plain:
        names = sorted(set(map(str, has)))
        places = [-1 if v is None else names.index(str(v)) for v in drawn]
        return _axis(knob(name), places, list(range(len(names))), names)
    return _number(knob(name), drawn)


def _number(name: str, drawn: Sequence[float | None]) -> dict[str, Any]:
    """The axis of a number: on a log scale over more than a decade; few values are its ticks."""
    has = [v for v in drawn if v is not None]
    log = logarithmic(has)
    place = math.log10 if log else float
    few = sorted(set(has))
    if len(few) <= _STEPS:
        ticks = [float(v) for v in few]
    else:
        ticks = [t for t in log_ticks(has) if few[0] <= t <= few[-1]] if log else _round(few)
    texts = [setting(t) if 0 < t < 1e-2 else tick(t) for t in ticks]
    below = min(map(place, has)) - 0.12 * (max(map(place, has)) - min(map(place, has)) or 1.0)
    places = [below if v is None else place(v) for v in drawn]
    return _axis(name, places, [place(t) for t in ticks], texts, below)


def _round(values: Sequence[float]) -> list[float]:
    """Round values among the given ones, a step of 1, 2 or 5 apart."""
    low, high = values[0], values[-1]
    power = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= (high - low) / 5)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _axis(
    name: str,
    places: Sequence[float],
    ticks: Sequence[float],
    texts: Sequence[str],
    below: float = -1.0,
) -> dict[str, Any]:
    absent = below in places
    return {
        "label": name,
        "values": list(places),
        "range": [min(places), max([*places, min(places) + 1e-9])],
        "tickvals": [below, *ticks] if absent else list(ticks),
        "ticktext": [ABSENT, *texts] if absent else list(texts),
    }


def importance(data: Data, objective: str) -> go.Figure:
    """The knobs that tell most of an objective; those that chance could have made are hollow."""
    found = dict(list(data["importances"][objective].items())[:_SHOWN])
    names = [f"{knob(name)} <i>({one['trials']})</i>" for name, one in found.items()]
    clear = [one["clear"] for one in found.values()]
    fig = empty()
    fig.add_trace(
        go.Bar(
            x=[one["effect"] for one in found.values()],
            y=names,
            orientation="h",
            width=0.62,
            marker={
                "color": [BLUE if yes else "white" for yes in clear],
                "line": {"color": [BLUE if yes else SOFT for yes in clear], "width": 1.2},
            },
            text=[f"{one['effect']:.2f}" for one in found.values()],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    fig.update_xaxes(title_text="share of the ranks' variance", range=[0, 1.08], dtick=0.25)
    fig.update_yaxes(autorange="reversed", ticks="", showgrid=False)
    fig.update_layout(margin={"l": 20, "r": 26, "t": 6, "b": 48})
    return fig
