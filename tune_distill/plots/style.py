"""How all figures look: colours, type, an empty figure, an axis of a measure.

The colours are those of Okabe and Ito (2008), which people of every colour vision tell apart, less
the ones that are under 3:1 against white (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from tune_distill.plots.words import label, tick

BLUE, VERMILLION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A8F98"
INK, SOFT, GRID, LINE = "#1D2430", "#5B6472", "#E9ECF1", "#C9CFD8"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def empty() -> go.Figure:
    """A figure with nothing on it."""
    fig = go.Figure()
    fig.update_layout(
        template="none",
        showlegend=False,
        font={"family": _FONT, "size": 12, "color": INK},
        margin={"l": 64, "r": 18, "t": 14, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"bgcolor": "white", "bordercolor": LINE, "font": {"size": 12, "color": INK}},
        hoverlabel_align="left",
    )
    fig.update_xaxes(gridcolor=GRID, linecolor=LINE, zeroline=False, ticks="outside")
    fig.update_yaxes(gridcolor=GRID, linecolor=LINE, zeroline=False, ticks="outside")
    fig.update_xaxes(tickcolor=LINE, title_standoff=10, title_font_size=13, automargin=True)
    fig.update_yaxes(tickcolor=LINE, title_standoff=12, title_font_size=13, automargin=True)
    return fig


def axis(update: Callable[..., object], name: str, goal: str, values: Sequence[float]) -> None:
    """Names an axis after a measure; a cost over more than a decade is on a log scale."""
    update(title_text=label(name))
    if goal == "min" and logarithmic(values):
        ticks = log_ticks(values)
        update(type="log", tickvals=ticks, ticktext=[tick(t) for t in ticks])


def bars(
    values: Sequence[float], intervals: Sequence[Sequence[float] | None], colour: str
) -> dict[str, object] | None:
    """Error bars of values, those that have a (low, high); None where none has."""
    if not any(intervals):
        return None
    ends = [interval or (v, v) for interval, v in zip(intervals, values, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - v for (_, high), v in zip(ends, values, strict=True)],
        "arrayminus": [v - low for (low, _), v in zip(ends, values, strict=True)],
        "color": colour,
        "thickness": 1.5,
        "width": 0,
    }


def placed(drawn: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies on the axis of `drawn`, from 0 to 1."""
    scale: Callable[[float], float] = math.log if logarithmic(drawn) else float
    low, high = scale(min(drawn)), scale(max(drawn))
    return lambda value: (scale(value) - low) / (high - low or 1.0)


def uncovered(
    texts: Sequence[str], points: Sequence[tuple[float, float]], wide: float, high: float
) -> list[str]:
    """The texts beside points, but for those that would lie upon an earlier one.

    Args:
        texts: one a point.
        points: from 0 to 1 on both axes.
        wide: of a text, as a share of the axis.
        high: the same.
    """
    taken: list[tuple[float, float]] = []
    shown = []
    for text, (a, b) in zip(texts, points, strict=True):
        free = not any(abs(a - c) < wide and abs(b - d) < high for c, d in taken)
        shown.append(text if free else "")
        taken += [(a, b)] * free
    return shown


def log_ticks(values: Sequence[float]) -> list[float]:
    """Round values around the given ones: 1, 2, 5, or powers of ten alone over three decades."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if high - low <= 3 else (1,)
    return [m * 10.0**e for e in range(low - 1, high + 1) for m in steps]


def logarithmic(values: Sequence[float]) -> bool:
    """Whether values deserve a log axis: positive, and over more than a decade."""
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)
