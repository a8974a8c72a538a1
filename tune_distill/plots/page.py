"""front.html: the front as one self-contained page, which asks nothing of a network.

The page embeds what front.json holds (`<script id="data">`) and draws its figures from plotly's
JSON. plotly.js is gzipped and in base64, and unpacked by the browser: 2 MB of 5 remain, of a file
that a search writes, and MLflow takes, again and again.
"""

from __future__ import annotations

import base64
import functools
import gzip
import html
import json
from collections.abc import Mapping
from importlib import resources
from string import Template

from plotly.offline import get_plotlyjs

from tune_distill.plots import figures, knobs, progress, summary
from tune_distill.plots.data import Data, measured, thinned
from tune_distill.plots.hover import words
from tune_distill.plots.parts import chart
from tune_distill.plots.table import table
from tune_distill.plots.words import bare


def report(data: Data, students: Mapping[int, str] | None = None) -> str:
    """The page that shows the data of a front.

    Args:
        data: of front.json; of very many trials some are left out (`thinned`).
        students: the YAML of some students by number, to copy (`study.students`).
    """
    data = thinned(data)
    title, yaml = data["name"] or "Pareto front", dict(students or {})
    return Template(_file("page.html")).substitute(
        title=html.escape(title),
        style=_file("page.css"),
        script=_file("page.js"),
        plotly=_packed(),
        data=_embedded(data),
        words=_embedded(words(data)),
        students=_embedded(yaml),
        headline=summary.headline(data),
        facts=summary.facts(data),
        tiles=summary.tiles(data),
        legend=summary.legend(data),
        charts=_charts(data),
        tied=summary.tied(data),
        knobs=_knobs(data),
        progress=_progress(data),
        table=table(data, yaml),
    )


@functools.cache
def _packed() -> str:
    """plotly.js, gzipped, in base64."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _embedded(value: object) -> str:
    """JSON inside of a script element; no text may end it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _charts(data: Data) -> str:
    if not measured(data):
        return ""
    names = [o["name"] for o in data["objectives"]]
    charts = [
        chart(figures.projection(data, x, y), f"{bare(y)} against {bare(x)}")
        for x, y in figures.pairs(data)
    ] or [chart(figures.single(data, names[0]), f"{bare(names[0])} by trial")]
    if len(names) > 2:
        title = f"{', '.join(map(bare, names[:2]))} and {bare(names[2])} at once"
        charts.append(chart(figures.solid(data), title))
    return _grid(charts)


def _knobs(data: Data) -> str:
    if len(measured(data)) < 2:
        return ""
    told = [name for name, found in data["importances"].items() if found]
    charts = [chart(knobs.importance(data, name), f"{bare(name)}, by knob") for name in told]
    lines = chart(knobs.parallel(data), "Every student as a line", wide=True)
    return _grid([lines]) + (_grid(charts, "low") if charts else "")


def _progress(data: Data) -> str:
    charts = []
    if data["hypervolume_curve"]:
        charts.append(chart(progress.by_trial(data), "hypervolume after each trial"))
        charts.append(chart(progress.by_time(data), "hypervolume over time"))
    if len(data["rungs"]) > 1:
        charts.append(chart(progress.survival(data), "trials that reached each epoch"))
    return _grid(charts, "low") if charts else ""


def _grid(charts: list[str], kind: str = "") -> str:
    return f'<div class="charts {kind}">{"".join(charts)}</div>'


def _file(name: str) -> str:
    return resources.files("tune_distill.plots").joinpath(name).read_text(encoding="utf-8")
