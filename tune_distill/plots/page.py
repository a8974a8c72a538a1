"""front.html: the front as one self-contained page, which asks nothing of a network."""

from __future__ import annotations

import html
from importlib import resources
from string import Template

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from tune_distill.plots import figures
from tune_distill.plots.data import Data
from tune_distill.plots.table import table
from tune_distill.plots.words import figure, label, short


def report(data: Data) -> str:
    """The page that shows the data of a front."""
    title = data["name"] or "Pareto front"
    return Template(_file("page.html")).substitute(
        title=html.escape(title),
        style=_file("page.css"),
        script=_file("page.js"),
        plotly=get_plotlyjs(),
        headline=_headline(data),
        facts=_facts(data),
        tiles=_tiles(data),
        legend=_legend(data),
        charts=_charts(data),
        table=table(data),
    )


def _headline(data: Data) -> str:
    complete, size = data["counts"]["complete"], len(data["front"])
    if not complete:
        return "No trial is complete yet"
    students = "student is" if complete == 1 else "students are"
    return f"{size} of {complete} {students} on the front"


def _facts(data: Data) -> str:
    counts = data["counts"]
    total = sum(counts.values())
    states = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    said = [f"{total} {'trial' if total == 1 else 'trials'} ended: {states or 'none'}."]
    if data["constraints"]:
        who = "Those on the front satisfy" if data["front"] else "None satisfies"
        said.append(f"{who} {' and '.join(data['constraints'])}.")
    if data["front"]:
        said.append("No student beats these in one objective without losing in another.")
    return html.escape(" ".join(said))


def _tiles(data: Data) -> str:
    if not data["front"]:
        return ""
    tiles = [
        _tile(
            f"{'highest' if o['goal'] == 'max' else 'lowest'} {label(o['name'])}", *_best(data, o)
        )
        for o in data["objectives"]
    ]
    if len(tiles) > 1:
        knee = f"trial {data['knee']}"
        tiles.append(_tile("compromise (knee)", knee, _measures(data, data["knee"])))
    volume = data["hypervolume"]
    shown = short(volume) if volume >= 1e4 else f"{volume:.4g}"
    tiles.append(_tile("hypervolume", shown, f"front of {len(data['front'])}"))
    return "".join(tiles)


def _best(data: Data, objective: Data) -> tuple[str, str]:
    name, goal = objective["name"], objective["goal"]
    front = [t for t in data["trials"] if t["on_front"]]
    best = (max if goal == "max" else min)(front, key=lambda t: t["objectives"][name])
    return figure(name, best["objectives"][name]), f"trial {best['number']}"


def _measures(data: Data, number: int) -> str:
    (trial,) = (t for t in data["trials"] if t["number"] == number)
    return " · ".join(figure(n, v) for n, v in trial["objectives"].items())


def _tile(what: str, value: str, note: str) -> str:
    what, value, note = (html.escape(text) for text in (what, value, note))
    return f'<div class="tile"><dt>{what}</dt><dd>{value}<small>{note}</small></dd></div>'


def _legend(data: Data) -> str:
    several = len(data["objectives"]) > 1
    teacher = any(o["name"] in (data["teacher"] or {}) for o in data["objectives"])
    drawn = [
        ("circle", "on the front, with 95 % intervals", True),
        ("dot", _others(data), any(not t["on_front"] for t in data["trials"])),
        ("diamond", "the knee: nearest to the best of all objectives", several),
        ("star", "teacher", teacher),
        ("stairs", "the limit reached in two objectives", several),
    ]
    keys = [_key(shape, text) for shape, text, shown in drawn if shown and data["trials"]]
    return "".join(keys)


def _others(data: Data) -> str:
    return "dominated, or beyond a constraint" if data["constraints"] else "dominated"


def _key(shape: str, text: str) -> str:
    return f'<li><svg width="18" height="18"><use href="#{shape}"/></svg>{html.escape(text)}</li>'


def _charts(data: Data) -> str:
    if not data["trials"]:
        return ""
    names = [o["name"] for o in data["objectives"]]
    pairs = figures.pairs(data)
    charts = [
        _chart(figures.projection(data, x, y), f"{_bare(y)} against {_bare(x)}") for x, y in pairs
    ] or [_chart(figures.single(data, names[0]), f"{_bare(names[0])} by trial")]
    if not data["front"]:
        return _grid(charts)
    progress = _chart(figures.progress(data), "hypervolume after each trial")
    if len(charts) % 2 and len(charts) > 1:
        return _grid([*charts, progress])
    return _grid(charts) + _grid([progress], "low")


def _grid(charts: list[str], kind: str = "") -> str:
    return f'<div class="charts {kind}">{"".join(charts)}</div>'


def _chart(fig: go.Figure, title: str) -> str:
    title = html.escape(title[:1].upper() + title[1:])
    drawn = fig.to_json().replace("<", "\\u003c")  # no text may end the script
    return (
        f'<figure><figcaption>{title}</figcaption><div class="plot" role="img" '
        f'aria-label="{title}"><script type="application/json">{drawn}</script></div></figure>'
    )


def _bare(name: str) -> str:
    return label(name).partition(" (")[0]


def _file(name: str) -> str:
    return resources.files("tune_distill.plots").joinpath(name).read_text(encoding="utf-8")
