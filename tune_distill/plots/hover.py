"""What hovers over a trial: lines of its figures, then its knobs, which page.js folds to fit."""

from __future__ import annotations

import html

from tune_distill.plots.data import Data, measured
from tune_distill.plots.marks import letters
from tune_distill.plots.words import figure, knob, label, setting

_CONTROLS = {
    "finetune": "control: fine-tuned without the teacher",
    "kd": "control: the most accurate plain distillation",
}


def words(data: Data) -> dict[int, dict[str, list[str]]]:
    """{number: {lines, knobs}} of the complete trials, no markup but that of the headline."""
    groups = letters(data)
    return {t["number"]: describe(t, groups.get(t["number"], "")) for t in measured(data)}


def describe(trial: Data, group: str = "") -> dict[str, list[str]]:
    """A trial in a few lines.

    Args:
        trial: of front.json.
        group: the letter of its group.
    """
    lines = []
    for name, value in trial["objectives"].items():
        low_high = trial["intervals"].get(name)
        interval = f" ({', '.join(figure(name, v) for v in low_high)})" if low_high else ""
        lines.append(f"{label(name)}: {figure(name, value)}{interval}")
    lines += [_stands(trial, group)]
    if trial["control"]:
        lines.append(_CONTROLS[trial["control"]])
    knobs = [f"{knob(k)} {setting(v)}" for k, v in trial["params"].items() if v is not None]
    head = f"<b>trial {trial['number']}</b>"
    return {"lines": [head, *map(html.escape, lines)], "knobs": [html.escape(k) for k in knobs]}


def _stands(trial: Data, group: str) -> str:
    if trial["on_front"]:
        return "on the front" + (f", tied in group {group}" if group else "")
    if trial["breaks"]:
        return f"beyond {' and '.join(trial['breaks'])}"
    better = trial["dominated_by"]
    more = f" and {len(better) - 4} more" if len(better) > 4 else ""
    return f"dominated by {', '.join(map(str, better[:4]))}{more}"
