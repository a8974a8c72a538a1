"""What is drawn in a figure of the front: one mark a function.

The colours are those of Okabe and Ito (2008), and each has a shape of its own.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from tune_distill import pareto
from tune_distill.plots.data import Data
from tune_distill.plots.words import figure, knob, label, setting

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#8A8F98"
TRIAL = "trial"  # an axis that is no objective


def stairs(data: Data, x: str, y: str) -> go.Scatter:
    """What nothing allowed beats in two objectives: the whole front, where there are but two."""
    sign = {o["name"]: -1.0 if o["goal"] == "max" else 1.0 for o in data["objectives"]}
    pairs = [(t["objectives"][x], t["objectives"][y]) for t in data["trials"] if not t["breaks"]]
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
    trials = [t for t in data["trials"] if t["on_front"] == on_front]
    style = {"size": 10, "color": BLUE, "line": {"color": "white", "width": 1}}
    faint = {"size": 7, "color": GREY, "opacity": 0.45}
    return go.Scatter(
        x=[_at(t, x) for t in trials],
        y=[_at(t, y) for t in trials],
        mode="markers+text" if on_front else "markers",
        text=_numbers(data, x, y) if on_front else None,
        textposition="top right",
        textfont={"size": 11, "color": BLUE},
        marker=style if on_front else faint,
        error_x=_bars(trials, x) if on_front else None,
        error_y=_bars(trials, y) if on_front else None,
        hovertext=[describe(t) for t in trials],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )


def _numbers(data: Data, x: str, y: str) -> list[str]:
    """The numbers of the front's trials, but for those that would lie upon another."""
    across, up = _place(values(data, x)), _place(values(data, y))
    taken: list[tuple[float, float]] = []
    texts = []
    for trial in (t for t in data["trials"] if t["on_front"]):
        a, b = across(_at(trial, x)), up(_at(trial, y))
        free = not any(abs(a - c) < 0.06 and abs(b - d) < 0.05 for c, d in taken)
        texts.append(str(trial["number"]) if free else "")
        if free:
            taken.append((a, b))
    return texts


def values(data: Data, axis: str) -> list[float]:
    """All that is drawn along an axis."""
    teacher = data["teacher"] or {}
    measured = [teacher[axis]] if axis in teacher else []
    return [*(_at(t, axis) for t in data["trials"]), *measured]


def _place(drawn: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies on the axis of `drawn`, from 0 to 1."""
    scale: Callable[[float], float] = math.log if logarithmic(drawn) else float
    low, high = scale(min(drawn)), scale(max(drawn))
    return lambda value: (scale(value) - low) / (high - low or 1.0)


def _at(trial: Data, axis: str) -> float:
    return float(trial["number"] if axis == TRIAL else trial["objectives"][axis])


def knee(data: Data, x: str, y: str) -> go.Scatter:
    """The ring around the knee."""
    trials = [t for t in data["trials"] if t["number"] == data["knee"]]
    return go.Scatter(
        x=[_at(t, x) for t in trials],
        y=[_at(t, y) for t in trials],
        mode="markers",
        marker={"symbol": "diamond-open", "size": 19, "color": ORANGE, "line": {"width": 2.5}},
        hoverinfo="skip",
        cliponaxis=False,
    )


def teacher(measured: Mapping[str, float], x: str, y: str) -> go.Scatter:
    """The teacher."""
    lines = [f"{html.escape(label(n))}: {figure(n, v)}" for n, v in measured.items()]
    return go.Scatter(
        x=[measured[x]],
        y=[measured[y]],
        mode="markers",
        marker={
            "symbol": "star",
            "size": 15,
            "color": GREEN,
            "line": {"color": "white", "width": 1},
        },
        hovertext=["<br>".join(["<b>teacher</b>", *lines])],
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
    )


def _bars(trials: Sequence[Data], name: str) -> dict[str, object] | None:
    if not any(name in t["intervals"] for t in trials):
        return None
    values = [_at(t, name) for t in trials]
    ends = [t["intervals"].get(name, [v, v]) for t, v in zip(trials, values, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - v for (_, high), v in zip(ends, values, strict=True)],
        "arrayminus": [v - low for (low, _), v in zip(ends, values, strict=True)],
        "color": "rgba(0,114,178,0.35)",
        "thickness": 1.5,
        "width": 0,
    }


def describe(trial: Data) -> str:
    """A trial in a few lines of hover text."""
    lines = [f"<b>trial {trial['number']}</b>"]
    for name, value in trial["objectives"].items():
        low_high = trial["intervals"].get(name)
        interval = f" ({', '.join(figure(name, v) for v in low_high)})" if low_high else ""
        lines.append(f"{html.escape(label(name))}: {figure(name, value)}{interval}")
    knobs = [f"{knob(k)} {setting(v)}" for k, v in trial["params"].items() if v is not None]
    rows = [" · ".join(knobs[i : i + 3]) for i in range(0, len(knobs), 3)]
    return "<br>".join([*lines, *map(html.escape, rows)])


def logarithmic(values: Sequence[float]) -> bool:
    """Whether values deserve a log axis: positive, and over more than a decade."""
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)
