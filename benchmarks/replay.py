"""A search without training: curves out of `curves.parquet`, workers that only count.

`Surrogate` makes a curve for any draw of the space: a Gaussian process on the first components of
the recorded curves, plus what it missed (leave-one-out) at one of the recorded configs next to the
draw. So its students scatter about the model as widely as the recorded ones do, and what the model
can't explain no sampler can learn.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from tune_distill.outcome import Objective
from tune_distill.space import Params

Array = NDArray[np.float64]
Order = Literal["go", "stop", "pause"]

COMPONENTS, NEIGHBOURS = 4, 8
LOGARITHMIC = ("hidden_size", "heads", "vocab", "learning_rate", "temperature")


@dataclass(frozen=True)
class Student:
    """What there is to know of a trial, before it is run."""

    params: Params
    known: Mapping[str, float]
    accuracy: Array  # after each epoch
    updates: Array  # the same
    seconds: float  # of an epoch

    def measures(self, epoch: int) -> dict[str, float]:
        """What it is worth after an epoch, counted from 1."""
        return {**self.known, "accuracy": float(self.accuracy[epoch - 1])}

    def losses(self, axes: Sequence[Objective], epoch: int | None = None) -> list[float]:
        """The same towards smaller is better; at its end unless said."""
        measures = self.measures(len(self.accuracy) if epoch is None else epoch)
        return [measures[a.name] * (-1.0 if a.goal == "max" else 1.0) for a in axes]


@dataclass(frozen=True)
class Table:
    """The recorded configs."""

    students: tuple[Student, ...]
    made: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path) -> Table:
        """The table that `curves.py` wrote."""
        table = pq.read_table(file)
        rest = {"size_mb", "parameters", "flops", "updates", "accuracy", "seconds"}
        students = []
        for row in table.to_pylist():
            params = {k: v for k, v in row.items() if k not in rest and v is not None}
            known = {name: float(row[name]) for name in ("size_mb", "parameters", "flops")}
            curve, updates = np.array(row["accuracy"]), np.array(row["updates"], float)
            seconds = row["seconds"] / len(curve)
            students.append(Student(params, known, curve, updates, seconds))
        made = json.loads((table.schema.metadata or {})[b"made"])
        return cls(tuple(students), made)

    @cached_property
    def curves(self) -> Array:
        """(configs, epochs) accuracies."""
        return np.stack([student.accuracy for student in self.students])


class Surrogate:
    """Students for any draw of the space.

    Sizes and FLOPs are sums of products of the widths, and so are found exactly.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._names = sorted({name for s in table.students for name in s.params} - {"train.seed"})
        self._words = {
            name: sorted({str(s.params.get(name)) for s in table.students}) for name in self._names
        }
        raw = np.stack([self._encoded(student.params) for student in table.students])
        self._mean = np.nanmean(raw, axis=0)
        filled = np.where(np.isnan(raw), self._mean, raw)
        self._sd = filled.std(axis=0) + 1e-9
        self._at = (filled - self._mean) / self._sd
        curves = table.curves
        self._centre = curves.mean(axis=0)
        _, _, basis = np.linalg.svd(curves - self._centre, full_matrices=False)
        self._basis = basis[:COMPONENTS]
        scores = (curves - self._centre) @ self._basis.T
        self._models = [self._fitted(column) for column in scores.T]
        left_out = np.stack(
            [_left_out(m, self._at, c) for m, c in zip(self._models, scores.T, strict=True)], axis=1
        )
        self.predicted = self._centre + left_out @ self._basis  # (configs, epochs)
        self._missed = curves - self.predicted
        widths = np.stack([_widths(student.params) for student in table.students])
        sizes = np.array([list(student.known.values()) for student in table.students])
        scale = widths.max(axis=0)
        self._sizes = np.linalg.lstsq(widths / scale, sizes, rcond=None)[0] / scale[:, None]
        flops = np.array([[1.0, s.known["flops"]] for s in table.students])
        seconds = np.array([s.seconds for s in table.students])
        self._pace = np.maximum(np.linalg.lstsq(flops, seconds, rcond=None)[0], 1e-12)

    def student(self, params: Params, seed: int) -> Student:
        """The student of a draw; `seed` chooses what the model misses."""
        at = (self._encoded(params) - self._mean) / self._sd
        at = np.where(np.isnan(at), 0.0, at)[None]
        scores = np.array([model.predict(at)[0] for model in self._models])
        near = np.argsort(np.linalg.norm(self._at - at, axis=1))[:NEIGHBOURS]
        drawn = hashlib.sha256(json.dumps([params, seed], sort_keys=True).encode()).digest()
        missed = self._missed[near[drawn[0] % len(near)]]
        curve = np.clip(self._centre + scores @ self._basis + missed, 0.0, 1.0)
        known = self.known(params)
        seconds = float(self._pace @ [1.0, known["flops"]])
        return Student(params, known, curve, self._table.students[0].updates, seconds)

    def known(self, params: Params) -> dict[str, float]:
        """What a draw measures whatever it learns."""
        sizes = _widths(params) @ self._sizes
        return dict(zip(self._table.students[0].known, map(float, sizes), strict=True))

    def error(self) -> dict[str, float]:
        """How well it foretells a config that it hasn't seen, at the last epoch."""
        true, told = self._table.curves[:, -1], self.predicted[:, -1]
        miss = true - told
        return {
            "r2": float(1 - (miss**2).mean() / true.var()),
            "rmse": float(np.sqrt((miss**2).mean())),
            "spearman": spearman(true, told),
        }

    def _fitted(self, column: Array) -> GaussianProcessRegressor:
        width = self._at.shape[1]
        kernel = ConstantKernel(1.0) * RBF(np.full(width, 3.0), (0.3, 100.0)) + WhiteKernel(0.3)
        model = GaussianProcessRegressor(kernel, normalize_y=True)
        with warnings.catch_warnings():  # a knob without effect has a length scale without end
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self._at, column)

    def _encoded(self, params: Params) -> Array:
        values = []
        for name in self._names:
            value = params.get(name)
            if isinstance(value, str):
                value = self._words[name].index(value)
            number = math.nan if value is None else float(value)
            values.append(math.log(number) if name.endswith(LOGARITHMIC) else number)
        return np.array(values)


def _widths(params: Params) -> Array:
    """What parameters and FLOPs of a BERT are linear in."""
    layers, width = float(params["student.layers"] or 0), float(params["student.hidden_size"] or 0)
    vocab, ratio = float(params["student.vocab"] or 0), params["student.intermediate_ratio"]
    inner = float(ratio or 0) * width
    block = [layers * width**2, layers * width * inner, layers * width, layers * inner]
    return np.array([vocab * width, *block, width**2, width, 1.0])


def _left_out(model: GaussianProcessRegressor, at: Array, column: Array) -> Array:
    """What the model says of each point without having seen it (Rasmussen & Williams, 5.12)."""
    mean, sd = column.mean(), column.std()
    scaled = (column - mean) / sd
    inverse = np.linalg.inv(model.kernel_(at))
    told: Array = scaled - (inverse @ scaled) / np.diag(inverse)
    return mean + sd * told


def spearman(a: Array, b: Array) -> float:
    """Rank correlation."""
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


class Strategy(Protocol):
    """What chooses trials, and stops them."""

    def ask(self, number: int) -> Student | int | None:
        """A new trial's student, or the number of a paused one that goes on; None: none is left."""

    def report(self, number: int, student: Student, epoch: int) -> Order:
        """A trial has ended an epoch, which isn't its last."""

    def end(self, number: int, student: Student, epoch: int) -> None:
        """A trial is over: after its last epoch, or stopped."""


@dataclass(frozen=True)
class Run:
    """What a search has found, at what cost."""

    spent: Array  # updates, when each of the complete trials was
    students: tuple[Student, ...]  # the complete ones, in that order
    begun: int  # trials


def replay(strategy: Strategy, budget: float, workers: int) -> Run:
    """Runs a strategy on so many workers at once until the updates are spent."""
    students: dict[int, Student] = {}
    at: dict[int, int] = {}  # epochs that are done
    events: list[tuple[float, int]] = []
    complete: list[tuple[float, Student]] = []
    clock = spent = 0.0
    started, more = 0, True
    while True:
        while more and len(events) < workers:
            asked = strategy.ask(started)
            if asked is None:
                more = bool(events)  # one in flight may still be paused, and be promoted
                break
            number = asked if isinstance(asked, int) else started
            if not isinstance(asked, int):
                students[number], at[number] = asked, 0
                started += 1
            heapq.heappush(events, (clock + students[number].seconds, number))
        if not events or spent >= budget:
            break
        clock, number = heapq.heappop(events)
        student = students[number]
        done = at[number]
        spent += student.updates[done] - (student.updates[done - 1] if done else 0.0)
        at[number] = done = done + 1
        if done == len(student.updates):
            complete.append((spent, student))
            strategy.end(number, student, done)
            continue
        order = strategy.report(number, student, done)
        if order == "go":
            heapq.heappush(events, (clock + student.seconds, number))
        elif order == "stop":
            strategy.end(number, student, done)
    costs = np.array([cost for cost, _ in complete])
    return Run(costs, tuple(student for _, student in complete), started)


def steps(runs: Sequence[tuple[Array, Array]], grid: Array) -> Array:
    """Step functions, each given as (where it steps, to what), on a grid: (runs, grid)."""
    return np.stack(
        [
            np.concatenate([[0.0], what])[np.searchsorted(where, grid, side="right")]
            for where, what in runs
        ]
    )
