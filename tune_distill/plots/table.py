"""The students on the front as an HTML table, which page.js sorts, and whose YAML it copies."""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable
from typing import Any

from tune_distill.plots.data import Data, measured
from tune_distill.plots.marks import letters
from tune_distill.plots.words import figure, knob, label, setting


def table(data: Data, copied: Collection[int] = ()) -> str:
    """The front's students, by the first objective; a column for each knob that differs.

    Args:
        data: of front.json.
        copied: the trials whose YAML the page holds.
    """
    front = [t for t in measured(data) if t["on_front"]]
    if not front:
        return ""
    first = data["objectives"][0]
    front.sort(key=lambda t: t["objectives"][first["name"]], reverse=first["goal"] == "max")
    names = [o["name"] for o in data["objectives"]]
    knobs = list(dict.fromkeys(k for t in front for k in t["params"]))
    same = [
        k for k in knobs if len(front) > 1 and len({repr(t["params"].get(k)) for t in front}) == 1
    ]
    shown, groups = [k for k in knobs if k not in same], letters(data)
    heads = [_head("trial", "trial"), *(_head(label(n), n) for n in names)]
    heads += [_head("tied", "the group whose members can't be told apart", "left")] * bool(groups)
    heads += [_head(knob(k), k, _side(t["params"].get(k) for t in front)) for k in shown]
    rows = "".join(
        f'<tr data-trial="{t["number"]}">{_first(t, data["knee"], copied)}'
        f"{''.join(_measure(t, n) for n in names)}"
        f"{_cell(groups.get(t['number'], '')) if groups else ''}"
        f"{''.join(_cell(t['params'].get(k)) for k in shown)}</tr>"
        for t in front
    )
    drawn = f"<table><thead><tr>{''.join(heads)}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{drawn}</div>{_shared(front[0], same)}'


def _head(text: str, full: str, side: str = "") -> str:
    return (
        f'<th scope="col" class="{side}" title="{html.escape(full)}">'
        f"<button>{html.escape(text)}</button></th>"
    )


def _side(values: Iterable[Any]) -> str:
    """Words begin at the left, numbers end at the right."""
    return "" if all(v is None or _number(v) for v in values) else "left"


def _first(trial: Data, knee: int | None, copied: Collection[int]) -> str:
    """The trial's number, its mark, and the button that copies its YAML."""
    number = trial["number"]
    marks = [("diamond", "knee")] if number == knee else []
    marks += [("square", "control")] if trial["control"] else []
    drawn = "".join(
        f' <svg width="14" height="14"><title>{text}</title><use href="#{shape}"/></svg>'
        for shape, text in marks
    )
    copy = f'<button class="copy" aria-label="YAML of trial {number}">YAML</button>'
    return (
        f'<th scope="row" data-value="{number}"><div><span>{number}{drawn}</span>'
        f"{copy if number in copied else ''}</div></th>"
    )


def _measure(trial: Data, name: str) -> str:
    value, low_high = trial["objectives"][name], trial["intervals"].get(name)
    ends = "\u2013".join(figure(name, end) for end in low_high) if low_high else ""
    interval = f"<small>{html.escape(ends)}</small>" if ends else ""
    return f'<td data-value="{value!r}">{html.escape(figure(name, value))}{interval}</td>'


def _cell(value: Any) -> str:  # noqa: ANN401 - a knob's value
    kind = "" if _number(value) else ' class="left"'
    exact = html.escape("" if value is None else str(value))
    return f'<td{kind} data-value="{exact}">{html.escape(setting(value))}</td>'


def _number(value: Any) -> bool:  # noqa: ANN401 - a knob's value
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shared(trial: Data, same: list[str]) -> str:
    if not same:
        return ""
    said = " · ".join(f"{knob(k)} {setting(trial['params'][k])}" for k in same)
    return f'<p class="note">The same for all of them: {html.escape(said)}</p>'
