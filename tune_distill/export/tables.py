"""The tables of a model card: plain Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_distill.export.confirmed import spread
from tune_distill.export.figures import Figures
from tune_distill.forms import NAMES
from tune_distill.measure.accuracy import Accuracy
from tune_distill.outcome import Interval, Objective, Outcome

FORMS = {**NAMES, "teacher": "teacher"}
_AS_PYTORCH = "as PyTorch"  # what ONNX in float32 is checked to compute


def searched(
    outcome: Outcome, objectives: Sequence[Objective], teacher: Outcome | None, metric: str
) -> str:
    """What the search measured of a student, the objectives first, beside its teacher."""
    own, theirs = outcome.measures(), teacher.measures() if teacher else {}
    names = list(dict.fromkeys([*(o.name for o in objectives), *own]))
    rows = [
        [
            f"{name} ({metric})" if name == "accuracy" != metric else name,
            shown(name, own[name]),
            _interval(outcome.intervals.get(name)),
            shown(name, theirs[name]) if name in theirs else "",
            _interval(teacher.intervals.get(name)) if teacher else "",
        ]
        for name in names
    ]
    head = ["measure", "student", "95 % interval", "teacher", "95 % interval"]
    return table(head, rows)


def forms(figures: Mapping[str, Figures], outcome: Outcome) -> str:
    """A column a form, and the teacher's; of PyTorch the attacks are those of its trial."""
    first = next(iter(figures.values()))
    rows = [
        [
            metric if split == "heldout" else f"{metric}, {split.removeprefix('heldout_')}",
            *(_scored(one.heldout[split][metric]) for one in figures.values()),
        ]
        for split, found in first.heldout.items()
        for metric in found
    ]
    measured = next((one.robust for one in figures.values() if one.robust), {})
    rows += [[name, *_robust(name, figures, outcome)] for name in measured]
    rows.append(["file, MB", *(f"{one.size_mb:.2f}" for one in figures.values())])
    rows.append(["latency, ms", *(_latency(one) for one in figures.values())])
    return table(["", *(FORMS[name] for name in figures)], rows)


def confirmed(told: Mapping[str, Any], metric: str) -> str:
    """A student on fresh seeds beside its teacher, each form's measures, with the verdicts.

    Args:
        told: `Confirmed.shown`.
        metric: of the task.
    """
    rows = []
    for measure in told["models"][0]["heldout"]:
        name = f"accuracy ({metric})" if measure == "accuracy" != metric else measure
        taught = told["teacher_intervals"][measure]
        for model in told["models"]:
            one, form = model["heldout"][measure], model["form"]
            rows.append(
                [
                    name if form == "pytorch" else f"{name}, {FORMS[form]}",
                    spread(one),
                    _interval(Interval(**one["interval"])),
                    f"{told['teacher'][measure]:.4f}",
                    _interval(Interval(**taught)),
                    _verdict(told, model["name"], measure),
                ]
            )
    head = [
        "measure",
        "student",
        "95 % interval",
        "teacher",
        "95 % interval",
        "against the teacher",
    ]
    return table(head, rows)


def _verdict(told: Mapping[str, Any], name: str, measure: str) -> str:
    """What is claimed of a model: against the teacher, or of int8 against PyTorch."""
    for claim in told["claims"]:
        if claim["first"] == name and claim["measure"] == measure:
            own = "" if claim["second"] == "teacher" else "against PyTorch: "
            return f"{own}{claim['verdict']} (p {claim['adjusted']:.2g})"
    return ""


def shown(name: str, value: float) -> str:
    """A measure's value with the digits that it deserves."""
    if name == "parameters":
        return f"{value:,.0f}"
    if name == "flops":
        return f"{value:.3g}"
    return f"{value:.2f}" if name.endswith(("_mb", "_ms")) else f"{value:.4f}"


def _robust(name: str, figures: Mapping[str, Figures], outcome: Outcome) -> list[str]:
    """The cells of one measure of attacks; the teacher's are in the search's own table."""
    own = Accuracy(outcome.measures()[name], outcome.intervals.get(name))
    cells = {"pytorch": _scored(own), "onnx": _AS_PYTORCH, "teacher": ""}
    return [
        _scored(one.robust[name]) if one.robust else cells[form] for form, one in figures.items()
    ]


def _scored(one: Accuracy) -> str:
    interval = _interval(one.interval)
    return f"{one.score:.4f} ({interval})" if interval else f"{one.score:.4f}"


def _latency(one: Figures) -> str:
    taken = one.latency
    low, median, high = (f"{ms:.3g}" for ms in (taken.low_ms, taken.median_ms, taken.high_ms))
    return f"{median} ({low} to {high})"


def _interval(interval: Interval | None) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}" if interval else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
