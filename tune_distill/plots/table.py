"""The students on the front as an HTML table, which page.js sorts."""

from __future__ import annotations

import html
from typing import Any

from tune_distill.plots.data import Data
from tune_distill.plots.words import figure, knob, label, setting


def table(data: Data) -> str:
    """The front's students, by the first objective; a column for each knob that differs."""
    front = [t for t in data["trials"] if t["on_front"]]
    if not front:
        return ""
    first = data["objectives"][0]
    front.sort(key=lambda t: t["objectives"][first["name"]], reverse=first["goal"] == "max")
    names = [o["name"] for o in data["objectives"]]
    knobs = list(dict.fromkeys(k for t in front for k in t["params"]))
    same = [
        k for k in knobs if len(front) > 1 and len({repr(t["params"].get(k)) for t in front}) == 1
    ]
    shown = [k for k in knobs if k not in same]
    heads = [("trial", "trial"), *((label(n), n) for n in names), *((knob(k), k) for k in shown)]
    head = "".join(
        f'<th scope="col" title="{html.escape(full)}"><button>{html.escape(text)}</button></th>'
        for text, full in heads
    )
    rows = "".join(_row(t, names, shown, t["number"] == data["knee"]) for t in front)
    drawn = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll">{drawn}</div>{_shared(front[0], same)}'


def _row(trial: Data, names: list[str], knobs: list[str], knee: bool) -> str:
    mark = ' <svg width="14" height="14"><title>knee</title><use href="#diamond"/></svg>'
    number = trial["number"]
    cells = [f'<th scope="row" data-value="{number}">{number}{mark if knee else ""}</th>']
    for name in names:
        value, low_high = trial["objectives"][name], trial["intervals"].get(name)
        ends = "\u2013".join(figure(name, end) for end in low_high) if low_high else ""
        interval = f"<small>{html.escape(ends)}</small>" if ends else ""
        cells.append(
            f'<td data-value="{value!r}">{html.escape(figure(name, value))}{interval}</td>'
        )
    cells += [_cell(trial["params"].get(k)) for k in knobs]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(value: Any) -> str:  # noqa: ANN401 - a knob's value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    kind = "" if number else ' class="text"'
    exact = html.escape("" if value is None else str(value))
    return f'<td{kind} data-value="{exact}">{html.escape(setting(value))}</td>'


def _shared(trial: Data, same: list[str]) -> str:
    if not same:
        return ""
    said = " · ".join(f"{knob(k)} {setting(trial['params'][k])}" for k in same)
    return f'<p class="note">The same for all of them: {html.escape(said)}</p>'
