"""All that a confirmation comes to, as plain data: confirm.json.

    schema      2
    study, seeds, rows, attacked_rows, objectives
    teacher     its measures on the held-out rows
    latency     the machine that milliseconds are of (load: at their end), how many texts, threads
    models      the front's members in each form, and the controls: what the search said, what
                fresh seeds say on the search's own split and on the held-out rows, whether the
                confirmed front has it
      form        pytorch, onnx or int8
      objectives  what the front is made of: means over fresh seeds on the held-out rows; a form's
                  size_mb is that of its file
      latency     median_ms over the texts, low_ms and high_ms (10th and 90th percentile)
      trials      the numbers of its trainings in STUDY/confirm
    claims      each comparison with its verdict (`claims`)
    optimism    by how much the search's figures were better than fresh seeds' on the same split

On the confirmed front is what no other model here dominates, by the means over seeds;
`front_probability` is the share of draws (`samples`) in which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from tune_distill.confirm.compared import MEASURED, Compared
from tune_distill.confirm.model import TEACHER, Model, Rows
from tune_distill.confirm.read import HeldOut
from tune_distill.outcome import Objective

SCHEMA, REPORT = 2, "confirm.json"
_MS = ("median_ms", "low_ms", "high_ms")


def summary(
    study: str,
    objectives: Sequence[Objective],
    models: Sequence[Model],
    teacher: HeldOut,
    rows: Rows,
    *,
    latency: Mapping[str, Any] | None = None,
    trials: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Any]:
    """What a confirmation says; see the module.

    Args:
        study: its name.
        objectives: of the study.
        models: those with at least one fresh seed that ended well.
        teacher: its look at the held-out rows.
        rows: the held-out rows.
        latency: `latency.timings`; None where nothing was timed.
        trials: the numbers of each candidate's trainings, by its name.
    """
    compared = Compared(models, teacher, rows)
    on_front, probability = compared.front(objectives)
    times = latency["models"] if latency else {}
    return {
        "schema": SCHEMA,
        "study": study,
        "seeds": max((len(model.again) for model in models), default=0),
        "rows": len(rows.labels),
        "attacked_rows": None if teacher.robust is None else len(teacher.robust),
        "metric": rows.metric,
        "objectives": [asdict(one) for one in objectives],
        "teacher": teacher.outcome.measures(),
        "teacher_intervals": compared.teacher_intervals(),
        "teacher_latency": _milliseconds(times.get(TEACHER)),
        "latency": latency and _taken(latency),
        "models": [
            {
                **_told(model),
                "trials": list((trials or {}).get(model.candidate.name, ())),
                "heldout": {measure: compared.told(at, measure) for measure in compared.measures},
                "objectives": {one.name: compared.value(at, one.name) for one in objectives},
                "latency": _milliseconds(times.get(model.name)),
                "on_front": bool(on_front[at]),
                "front_probability": float(probability[at]),
            }
            for at, model in enumerate(models)
        ],
        "claims": [asdict(claim) for claim in compared.claims()],
        "optimism": _optimism(models),
    }


def _taken(latency: Mapping[str, Any]) -> dict[str, Any]:
    """How the latencies were taken."""
    first = next(iter(latency["models"].values()))
    how = {name: first[name] for name in ("texts", "threads")}
    return {"machine": latency["machine"], **how}


def _milliseconds(one: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if one is None else {name: one[name] for name in _MS}


def _told(model: Model) -> dict[str, Any]:
    """A model, but for its held-out rows."""
    fresh: dict[str, list[float]] = {}
    for outcome in (outcome for outcome, _ in model.again if outcome is not None):
        for name, value in outcome.measures().items():
            fresh.setdefault(name, []).append(value)
    return {
        "name": model.name,
        "role": model.candidate.role,
        "trial": model.candidate.trial,
        "form": model.form,
        "params": dict(model.candidate.params),
        "failed": model.failed,
        "searched": model.searched.measures() if model.searched else None,
        "again": {
            name: {
                "mean": float(np.mean(values)),
                "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            }
            for name, values in fresh.items()
        },
        "metrics": [look.metrics for look in model.looks],
    }


def _optimism(models: Sequence[Model]) -> dict[str, Mapping[str, float | int]]:
    """The search's figure less the mean of fresh seeds, over the front's members, by measure."""
    found: dict[str, Mapping[str, float | int]] = {}
    for measure in MEASURED:
        gaps = [
            model.searched.measures()[measure]
            - np.mean([outcome.measures()[measure] for outcome, _ in model.again if outcome])
            for model in models
            if model.member and model.searched is not None and measure in model.searched.measures()
        ]
        if gaps:
            found[measure] = {"mean": float(np.mean(gaps)), "members": len(gaps)}
    return found
