"""What the page says before it draws: headline, facts, the best of each objective, the legend."""

from __future__ import annotations

import html

from tune_distill.plots.data import Data, measured
from tune_distill.plots.marks import letters
from tune_distill.plots.parts import tile
from tune_distill.plots.words import figure, label, short


def headline(data: Data) -> str:
    """How many students are on the front."""
    complete, size = data["counts"]["complete"], len(data["front"])
    if not complete:
        return "No trial is complete yet"
    students = "student is" if complete == 1 else "students are"
    return f"{size} of {complete} {students} on the front"


def facts(data: Data) -> str:
    """What ended how, and what the front satisfies."""
    counts = data["counts"]
    total = sum(counts.values())
    states = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    said = [f"{total} {'trial' if total == 1 else 'trials'} ended: {states or 'none'}."]
    if data["constraints"]:
        who = "Those on the front satisfy" if data["front"] else "None satisfies"
        said.append(f"{who} {' and '.join(data['constraints'])}.")
    if data["front"]:
        said.append("No student beats these in one objective without losing in another.")
    if undrawn := data.get("undrawn"):
        said.append(f"{undrawn:,} of the others are not drawn; front.json has them.")
    return html.escape(" ".join(said))


def tiles(data: Data) -> str:
    """The best in each objective, the knee, the hypervolume."""
    if not data["front"]:
        return ""
    tiles = [
        tile(f"{'highest' if o['goal'] == 'max' else 'lowest'} {label(o['name'])}", *_best(data, o))
        for o in data["objectives"]
    ]
    if len(tiles) > 1:
        knee = f"trial {data['knee']}"
        tiles.append(tile("compromise (knee)", knee, _measures(data, data["knee"])))
    volume = data["hypervolume"]
    shown = short(volume) if volume >= 1e4 else f"{volume:.4g}"
    tiles.append(tile("hypervolume", shown, f"front of {len(data['front'])}"))
    return "".join(tiles)


def _best(data: Data, objective: Data) -> tuple[str, str]:
    name, goal = objective["name"], objective["goal"]
    front = [t for t in measured(data) if t["on_front"]]
    best = (max if goal == "max" else min)(front, key=lambda t: t["objectives"][name])
    return figure(name, best["objectives"][name]), f"trial {best['number']}"


def _measures(data: Data, number: int) -> str:
    (trial,) = (t for t in data["trials"] if t["number"] == number)
    return " · ".join(figure(n, v) for n, v in trial["objectives"].items())


def legend(data: Data) -> str:
    """What the marks of the figures are, those that are there."""
    several, trials = len(data["objectives"]) > 1, measured(data)
    teacher = any(o["name"] in (data["teacher"] or {}) for o in data["objectives"])
    drawn = [
        ("circle", "on the front, with 95 % intervals", True),
        ("dot", _others(data), any(not t["on_front"] for t in trials)),
        ("diamond", "the knee: nearest to the best of all objectives", several),
        ("square", "control", several and any(t["control"] for t in trials)),
        ("star", "teacher", teacher),
        ("stairs", "the limit reached in two objectives", several),
        ("letter", "can't be told apart", several and bool(letters(data))),
    ]
    keys = [_key(shape, text) for shape, text, shown in drawn if shown and trials]
    return "".join(keys)


def _others(data: Data) -> str:
    return "dominated, or beyond a constraint" if data["constraints"] else "dominated"


def _key(shape: str, text: str) -> str:
    return f'<li><svg width="18" height="18"><use href="#{shape}"/></svg>{html.escape(text)}</li>'


def tied(data: Data) -> str:
    """What the letters say, where there are some."""
    groups = [(name, n) for n, name in letters(data).items()]
    if not groups:
        return ""
    listed = {name: [n for other, n in groups if other == name] for name, _ in groups}
    said = "; ".join(f"{name}: {', '.join(map(str, own))}" for name, own in listed.items())
    return (
        '<p class="note">The 95 % intervals of students with the same letter overlap on every '
        f"objective that has one, so these rows can't tell them apart: {html.escape(said)}.</p>"
    )
