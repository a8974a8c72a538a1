"""All that a confirmation comes to, as plain data: confirm.json.

    schema      1
    study, seeds, rows, attacked_rows, objectives
    teacher     its measures on the held-out rows
    models      the front's members and the controls: what the search said, what fresh seeds say on
                the search's own split and on the held-out rows, whether the confirmed front has it
    claims      each comparison with its verdict (`claims`)
    optimism    by how much the search's figures were better than fresh seeds' on the same split

On the confirmed front is what no other model here dominates, by the means over seeds;
`front_probability` is the share of draws (`samples`) in which it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.confirm.claims import Claim, Pair, claims, interval
from tune_distill.confirm.plan import Candidate
from tune_distill.confirm.read import HeldOut
from tune_distill.confirm.samples import Reals, Sample, drawn
from tune_distill.outcome import Objective, Outcome
from tune_distill.statistics import mcnemar
from tune_distill.tasks import score

SCHEMA = 1
MEASURED = ("accuracy", "robust_worst")  # over rows: they differ from seed to seed
COSTS = ("size_mb", "parameters", "flops")  # the student's shape alone decides them


@dataclass(frozen=True, eq=False)
class Model:
    """A candidate with all that is known of it.

    searched: what the search measured of its trial; None of a control that it has not run
    found: the search's own student on the held-out rows
    again: each fresh seed's measures on the search split, and its look at the held-out rows
    failed: how many of its trainings failed
    """

    candidate: Candidate
    searched: Outcome | None
    found: HeldOut | None
    again: Sequence[tuple[Outcome, HeldOut]]
    failed: int = 0

    @cached_property
    def looks(self) -> list[HeldOut]:
        """Of the fresh seeds."""
        return [look for _, look in self.again]


@dataclass(frozen=True, eq=False)
class Rows:
    """What the held-out rows are scored by."""

    metric: str
    labels: NDArray[np.generic]

    @property
    def right_or_wrong(self) -> bool:
        """Whether the metric is a share of rows."""
        return self.metric == "accuracy" and np.ndim(self.labels) == 1

    def sample(self, looks: Sequence[HeldOut], measure: str) -> Sample:
        """One measure of one model's looks."""
        if measure == "robust_worst":
            return Sample(np.array([look.robust for look in looks], np.float64))
        if self.right_or_wrong:
            return Sample(np.array([self.right(look) for look in looks], np.float64))
        return Sample(scores=[partial(self._score, look) for look in looks])

    def right(self, look: HeldOut) -> NDArray[np.bool_]:
        """Which rows a model gets right: (rows,)."""
        return np.asarray(look.logits.argmax(axis=1) == np.asarray(self.labels))

    def _score(self, look: HeldOut, rows: NDArray[np.intp]) -> float:
        return score(self.metric, look.logits[rows], np.asarray(self.labels)[rows])


def summary(
    study: str,
    objectives: Sequence[Objective],
    models: Sequence[Model],
    teacher: HeldOut,
    rows: Rows,
) -> dict[str, Any]:
    """What a confirmation says; see the module.

    Args:
        study: its name.
        objectives: of the study.
        models: those with at least one fresh seed that ended well.
        teacher: its look at the held-out rows.
        rows: the held-out rows.
    """
    compared = _Compared(models, teacher, rows)
    on_front, probability = compared.front(objectives)
    return {
        "schema": SCHEMA,
        "study": study,
        "seeds": max((len(model.again) for model in models), default=0),
        "rows": len(rows.labels),
        "attacked_rows": None if teacher.robust is None else len(teacher.robust),
        "metric": rows.metric,
        "objectives": [asdict(one) for one in objectives],
        "teacher": teacher.outcome.measures(),
        "models": [
            {
                **_told(model),
                "heldout": {measure: compared.told(at, measure) for measure in compared.measures},
                "on_front": bool(on_front[at]),
                "front_probability": float(probability[at]),
            }
            for at, model in enumerate(models)
        ],
        "claims": [asdict(claim) for claim in compared.claims()],
        "optimism": _optimism(models),
    }


class _Compared:
    """The models' measures and their draws, the teacher's last."""

    def __init__(self, models: Sequence[Model], teacher: HeldOut, rows: Rows) -> None:
        self.models, self.teacher, self.rows = models, teacher, rows
        self.measures = [m for m in MEASURED if m == "accuracy" or teacher.robust is not None]
        every = [*(model.looks for model in models), [teacher]]
        self.values: dict[str, list[Reals]] = {}
        self.draws: dict[str, Reals] = {}
        for measure in self.measures:
            n = len(rows.labels)
            if measure == "robust_worst" and teacher.robust is not None:
                n = len(teacher.robust)
            samples = [rows.sample(looks, measure) for looks in every]
            self.values[measure] = [one.values(n) for one in samples]
            self.draws[measure] = drawn(samples, n)

    def told(self, at: int, measure: str) -> dict[str, Any]:
        """Mean, standard deviation, interval and values of one model over its seeds."""
        values, found = self.values[measure][at], self.models[at].found
        return {
            "mean": float(values.mean()),
            "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "interval": asdict(interval(self.draws[measure][at])),
            "values": values.tolist(),
            "found": found.outcome.measures()[measure] if found else None,
        }

    def claims(self) -> list[Claim]:
        """Every model against the teacher, its neighbour on the front, and its control."""
        return claims(
            [
                self._pair(first, second, measure)
                for first, second in self._pairs()
                for measure in self.measures
            ]
        )

    def front(self, objectives: Sequence[Objective]) -> tuple[NDArray[np.bool_], Reals]:
        """Which models are on the front by their means, and in what share of the draws."""
        signs = np.array([-1.0 if o.goal == "max" else 1.0 for o in objectives])
        draws = self.draws[self.measures[0]].shape[1]
        table = np.empty((len(self.models), len(objectives), draws + 1))  # the means come first
        for column, objective in enumerate(objectives):
            for at, model in enumerate(self.models):
                if objective.name in self.measures:
                    table[at, column, 0] = self.values[objective.name][at].mean()
                    table[at, column, 1:] = self.draws[objective.name][at]
                else:
                    table[at, column] = model.looks[0].outcome.measures()[objective.name]
        table *= signs[:, None]
        on = np.stack([pareto.front(table[:, :, at]) for at in range(draws + 1)])
        return on[0], np.asarray(on[1:].mean(axis=0), np.float64)

    def _pairs(self) -> list[tuple[int, int]]:
        """Places of the models that are compared; the teacher's is one past the last."""
        last = len(self.models)
        members = [at for at, model in enumerate(self.models) if model.candidate.role == "front"]
        by_size = sorted(members, key=lambda at: self._cost(self.models[at]), reverse=True)
        pairs = [(at, last) for at in range(last)]
        pairs += list(pairwise(by_size))  # the larger against the smaller
        for at, model in enumerate(self.models):
            if model.candidate.role == "finetune":
                pairs += [(m, at) for m in members if self._of(m) == model.candidate.trial]
            if model.candidate.role == "kd":
                best = max(members, key=lambda m: float(self.values["accuracy"][m].mean()))
                pairs.append((best, at))
        return pairs

    def _of(self, at: int) -> int:
        return self.models[at].candidate.trial

    def _cost(self, model: Model) -> tuple[float, ...]:
        measures = model.looks[0].outcome.measures()
        return tuple(measures[name] for name in COSTS)

    def _pair(self, first: int, second: int, measure: str) -> Pair:
        values, draws = self.values[measure], self.draws[measure]
        return Pair(
            measure,
            self._name(first),
            self._name(second),
            float(values[first].mean() - values[second].mean()),
            draws[first] - draws[second],
            self._mcnemar(first, second, measure),
        )

    def _name(self, at: int) -> str:
        return "teacher" if at == len(self.models) else self.models[at].candidate.name

    def _mcnemar(self, first: int, second: int, measure: str) -> float | None:
        looks = [
            self.teacher if at == len(self.models) else self.models[at].found
            for at in (first, second)
        ]
        one, other = looks
        if one is None or other is None:
            return None
        if measure == "robust_worst":
            if one.robust is None or other.robust is None:
                return None
            return mcnemar(one.robust, other.robust)
        if not self.rows.right_or_wrong:
            return None
        return mcnemar(self.rows.right(one), self.rows.right(other))


def _told(model: Model) -> dict[str, Any]:
    """A model, but for its held-out rows."""
    fresh: dict[str, list[float]] = {}
    for outcome, _ in model.again:
        for name, value in outcome.measures().items():
            fresh.setdefault(name, []).append(value)
    return {
        "name": model.candidate.name,
        "role": model.candidate.role,
        "trial": model.candidate.trial,
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
            - np.mean([outcome.measures()[measure] for outcome, _ in model.again])
            for model in models
            if model.candidate.role == "front"
            and model.searched is not None
            and measure in model.searched.measures()
        ]
        if gaps:
            found[measure] = {"mean": float(np.mean(gaps)), "members": len(gaps)}
    return found
