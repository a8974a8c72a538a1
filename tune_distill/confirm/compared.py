"""The models of a confirmation side by side: figures, draws, the confirmed front, the claims.

A model is a candidate in one of its forms. PyTorch's meets the teacher, its neighbour on the front
and its control; int8 meets the student that it was made from (ONNX in float32 is held against that
logit by logit, so there is nothing to claim).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.confirm.claims import Claim, Pair, claims, interval
from tune_distill.confirm.model import TEACHER, Model, Rows
from tune_distill.confirm.read import PLAIN, HeldOut
from tune_distill.confirm.samples import DRAWS, Reals, drawn
from tune_distill.outcome import Objective
from tune_distill.statistics import mcnemar

MEASURED = ("accuracy", "robust_worst")  # over rows: they differ from seed to seed
A_CLAIM = 100  # draws: the least p-value of n is 2 / (n + 1), and Holm's of m claims m times that
COSTS = ("size_mb", "parameters", "flops")  # the student's shape alone decides them


class Compared:
    """The models' measures and their draws, the teacher's last."""

    def __init__(self, models: Sequence[Model], teacher: HeldOut, rows: Rows) -> None:
        self.models, self.teacher, self.rows = models, teacher, rows
        self.measures = [m for m in MEASURED if m == "accuracy" or teacher.robust is not None]
        every = [*(model.looks for model in models), [teacher]]
        counts = {"accuracy": len(rows.labels)}
        if teacher.robust is not None:
            counts["robust_worst"] = len(teacher.robust)
        samples = {
            measure: [
                replace(rows.sample(looks, measure), twin=twin)
                for looks, twin in zip(every, [*map(self._twin, models), None], strict=True)
            ]
            for measure in self.measures
        }
        self.values: dict[str, list[Reals]] = {
            measure: [one.values(counts[measure]) for one in each]
            for measure, each in samples.items()
        }
        draws = max(DRAWS, A_CLAIM * len(self._pairs()) * len(self.measures))
        self.draws: dict[str, Reals] = {
            measure: drawn(each, counts[measure], draws=draws) for measure, each in samples.items()
        }

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

    def teacher_intervals(self) -> dict[str, dict[str, float]]:
        """The teacher's interval in each measure: it has one training, so rows alone are drawn."""
        return {measure: asdict(interval(draws[-1])) for measure, draws in self.draws.items()}

    def claims(self) -> list[Claim]:
        """Every comparison that is made, measure by measure; see the module."""
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
                    table[at, column] = model.exact(objective.name)
        table *= signs[:, None]
        on = np.stack([pareto.front(table[:, :, at]) for at in range(draws + 1)])
        return on[0], np.asarray(on[1:].mean(axis=0), np.float64)

    def value(self, at: int, objective: str) -> float:
        """What a model is worth in an objective: the mean over fresh seeds."""
        if objective in self.measures:
            return float(self.values[objective][at].mean())
        return self.models[at].exact(objective)

    def _pairs(self) -> list[tuple[int, int]]:
        """Places of the models that are compared; the teacher's is one past the last."""
        last = len(self.models)
        members = [at for at, model in enumerate(self.models) if model.member]
        by_size = sorted(members, key=lambda at: self._cost(self.models[at]), reverse=True)
        pairs = [(at, last) for at, model in enumerate(self.models) if model.form == PLAIN]
        pairs += list(pairwise(by_size))  # the larger against the smaller
        for at, model in enumerate(self.models):
            twin = self._twin(model)
            if model.form == "int8" and twin is not None:
                pairs.append((at, twin))
            if model.candidate.role == "finetune":
                pairs += [(m, at) for m in members if self._of(m) == model.candidate.trial]
            if model.candidate.role == "kd":
                best = max(members, key=lambda m: float(self.values["accuracy"][m].mean()))
                pairs.append((best, at))
        return pairs

    def _of(self, at: int) -> int:
        return self.models[at].candidate.trial

    def _cost(self, model: Model) -> tuple[float, ...]:
        return tuple(model.exact(name) for name in COSTS)

    def _twin(self, model: Model) -> int | None:
        """The place of the student that a form was made from."""
        if model.form == PLAIN:
            return None
        names = [one.name for one in self.models]
        return names.index(model.candidate.name) if model.candidate.name in names else None

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
        return TEACHER if at == len(self.models) else self.models[at].name

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
