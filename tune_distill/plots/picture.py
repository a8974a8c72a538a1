"""The front as a PNG, for places that show pictures and run no scripts: model cards.

One panel for each pair of objectives, as in the page's projections; the chosen student is marked.
"""

from __future__ import annotations

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from tune_distill.plots.data import Data, measured
from tune_distill.plots.figures import pairs
from tune_distill.plots.marks import stairs, values
from tune_distill.plots.style import BLUE, GREEN, GREY, VERMILLION, logarithmic
from tune_distill.plots.words import label, tick

_COLUMNS, _INCHES = 3, (4.2, 3.5)  # panels a row; width and height of one
_DPI = 110


def picture(
    data: Data,
    chosen: int,
    called: str = "this student",
    columns: int = _COLUMNS,
    dpi: int = _DPI,
) -> bytes | None:
    """The front with one trial marked, as PNG; None where there is but one objective.

    Args:
        data: of front.json.
        chosen: the trial's number.
        called: its name in the legend.
        columns: panels a row, at most.
        dpi: pixels an inch; a panel is 4.2 inches wide.
    """
    panels = pairs(data)
    if not panels:
        return None
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure((columns * _INCHES[0], rows * _INCHES[1]), layout="constrained")
    for place, (x, y) in enumerate(panels, start=1):
        _draw(figure.add_subplot(rows, columns, place), data, x, y, chosen, called)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=len(names),
        frameon=False,
        markerscale=0.7,
    )
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=dpi)
    return file.getvalue()


def _draw(axes: Axes, data: Data, x: str, y: str, chosen: int, called: str) -> None:
    best = stairs(data, x, y)
    axes.step(best.x, best.y, where="post", color=BLUE, alpha=0.45, linewidth=1.2)
    kinds = (
        ("other students", GREY, 22, 0.5, [t for t in measured(data) if not t["on_front"]]),
        ("on the front", BLUE, 42, 1.0, [t for t in measured(data) if t["on_front"]]),
    )
    for name, colour, size, alpha, trials in kinds:
        at = [(t["objectives"][x], t["objectives"][y]) for t in trials]
        if at:
            across, up = zip(*at, strict=True)
            axes.scatter(across, up, s=size, c=colour, alpha=alpha, label=name)
    (own,) = (t["objectives"] for t in measured(data) if t["number"] == chosen)
    axes.scatter(
        own[x],
        own[y],
        s=190,
        marker="D",
        facecolors="none",
        edgecolors=VERMILLION,
        linewidths=2.2,
        label=called,
    )
    teacher = data["teacher"] or {}
    if x in teacher and y in teacher:
        axes.scatter(teacher[x], teacher[y], s=130, c=GREEN, marker="*", label="teacher")
    for name, scale, axis in ((x, axes.set_xscale, axes.xaxis), (y, axes.set_yscale, axes.yaxis)):
        if logarithmic(values(data, name)):
            scale("log")
            axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(_tick))
    axes.set_xlabel(label(x))
    axes.set_ylabel(label(y))
    axes.margins(0.09)
    axes.grid(color="#E9ECF1")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _tick(value: float, _: object) -> str:
    """A value beside an axis: 1.5, and 12 M."""
    return f"{value:.4g}" if abs(value) < 1e4 else tick(value)
