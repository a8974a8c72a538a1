"""What a draw promises to add to the front, where sizes are known and accuracies are learned.

Of a draw's objectives some are known before it is trained (size, parameters, FLOPs); the others
(accuracy, robustness) are modelled, a Gaussian process on the draws' coordinates each. What a draw
is worth is the expected improvement of the front's hypervolume (Emmerich et al. 2006), over
stratified samples of what is learned. The front is that of the models' means: a lucky measurement
is no mark to beat. Trials in flight count as what the models expect of them (the kriging believer
of Ginsbourger et al. 2010); one that was stopped as what those complete trials that stood nearest
to it by then ended with; one that failed as the worst of all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.outcome import Objective, reference_losses
from tune_distill.searcher.coordinates import Coordinates
from tune_distill.searcher.gaussian import Process
from tune_distill.space import Params, Space
from tune_distill.spec.bounds import Bound

Array = NDArray[np.float64]
Known = Callable[[Params], Mapping[str, float]]

DEAR = 200  # draws that are judged in full where there are three objectives or more
SAMPLES = 32  # of what is learned, for each draw
ALIKE = 10  # complete trials that foretell the end of a stopped one
MOST = 300  # trials that the models are made of
GROWN = 1.1  # times the trials after which the models' scales are fitted anew


@dataclass(frozen=True)
class Seen:
    """A trial as far as it is known."""

    params: Params
    final: Mapping[str, float] | None = None  # its objectives, if it is complete
    curve: Sequence[tuple[float, float]] = ()  # (share of its training, accuracy), rising
    allowed: bool = True  # it breaks no constraint
    failed: bool = False
    running: bool = False


class Promise:
    """Judges draws of a space by the trials so far.

    Args:
        space: of the draws.
        axes: the objectives.
        bounds: the constraints; here those on objectives that are learned count.
        known: what a draw measures whatever it learns, by the names in `Outcome`.
    """

    def __init__(
        self, space: Space, axes: Sequence[Objective], bounds: Sequence[Bound], known: Known
    ) -> None:
        self._axes, self._ask, self._at = axes, known, Coordinates(space)
        self._signs = np.array([-1.0 if axis.goal == "max" else 1.0 for axis in axes])
        self._corner, self._bounds = reference_losses(axes), bounds
        self._sizes: dict[str, Mapping[str, float]] = {}
        self._fitted: dict[str, tuple[int, Process]] = {}
        self._models: dict[str, Process] = {}

    def look(self, trials: Sequence[Seen], rng: random.Random) -> list[Params]:
        """Takes the trials in; the draws on the front, which `gains` is about from now on."""
        trials = self._some(trials)
        known = self._known(trials[0].params) if trials else {}
        learned = self._learned = [axis for axis in self._axes if axis.name not in known]
        self._models = {axis.name: self._model(axis, trials) for axis in learned}
        stand = [t.params for t in trials if t.running or (t.final and t.allowed)]
        means = self._losses(stand, np.zeros((1, len(learned))))[:, 0]
        on = np.flatnonzero(pareto.front(means))
        self._front = means[on]
        quantiles = [NormalDist().inv_cdf((i + 0.5) / SAMPLES) for i in range(SAMPLES)]
        drawn = [rng.sample(quantiles, SAMPLES) for _ in learned]
        self._deviates = np.array(drawn).T.reshape(SAMPLES, len(learned))
        return [stand[i] for i in on]

    def gains(self, draws: Sequence[Params]) -> Array:
        """The expected improvement of the hypervolume by each of one or more draws: (draws,).

        Where a hypervolume is dear, 0 for those that add little even if all turns out well.
        """
        gains, some = np.zeros(len(draws)), np.arange(len(draws))
        if len(self._axes) > 2:
            well = [1.0 if axis.goal == "max" else -1.0 for axis in self._learned]
            hoped = self._improvements(draws, np.array([well]))[:, 0]
            some = np.argsort(-hoped, kind="stable")[:DEAR]
        gains[some] = self._improvements([draws[int(i)] for i in some], self._deviates).mean(axis=1)
        return gains

    def _improvements(self, draws: Sequence[Params], deviates: Array) -> Array:
        """Of the hypervolume by each draw, for each sample: (draws, samples)."""
        losses = self._losses(draws, deviates)
        flat = losses.reshape(-1, len(self._axes))
        gains = pareto.improvements(self._front, flat, self._corner).reshape(losses.shape[:2])
        for column, axis in enumerate(self._axes):
            values = self._signs[column] * losses[:, :, column]
            for bound in self._bounds:
                if bound.measure == axis.name and axis in self._learned:
                    over = values > bound.limit if bound.below else values < bound.limit
                    gains = np.where(over, 0.0, gains)
        return np.asarray(gains)

    def _losses(self, draws: Sequence[Params], deviates: Array) -> Array:
        """(draws, samples, objectives), what is learned so many deviations off its mean.

        Args:
            draws: some.
            deviates: (samples, learned objectives)
        """
        table = np.empty((len(draws), len(deviates), len(self._axes)))
        if not draws:
            return table
        points, sizes = self._points(draws), [self._known(params) for params in draws]
        of = dict(zip(self._models, deviates.T, strict=True))
        for column, axis in enumerate(self._axes):
            if axis.name in of:
                mean, sd = self._models[axis.name].predict(points)
                table[:, :, column] = mean[:, None] + sd[:, None] * of[axis.name]
            else:
                table[:, :, column] = np.array([[size[axis.name]] for size in sizes])
        return np.asarray(table * self._signs)

    def _model(self, axis: Objective, trials: Sequence[Seen]) -> Process:
        """The process of one learned objective."""
        name, ended = axis.name, [t for t in trials if t.final]
        told = [(t, t.final[name], 0.0) for t in ended if t.final]
        curves = [t for t in ended if t.curve]
        worst = (min if axis.goal == "max" else max)(value for _, value, _ in told)
        for t in trials:
            if t.failed:
                told.append((t, worst, 0.0))
            elif name == "accuracy" and t.curve and curves and not t.final:
                told.append((t, *foretold(t, curves)))
        at, values = self._points([t.params for t, _, _ in told]), np.array([v for _, v, _ in told])
        spread = np.array([sd for _, _, sd in told])
        count, model = self._fitted.get(name, (0, None))
        if model is None or not count <= len(told) < GROWN * count:
            model = Process.fit(at, values, spread, self._at.nominal, model)
            self._fitted[name] = len(told), model
        model = model.given(at, values, spread)
        if running := [t.params for t in trials if t.running]:
            there = self._points(running)
            values = np.append(values, model.predict(there)[0])
            model = model.given(
                np.vstack([at, there]), values, np.append(spread, np.zeros(len(there)))
            )
        return model

    def _some(self, trials: Sequence[Seen]) -> Sequence[Seen]:
        """At most `MOST` of the trials: half of them the best, by fronts, and the newest."""
        if len(trials) <= MOST:
            return trials
        final = [(i, t.final) for i, t in enumerate(trials) if t.final]
        table = np.array([[found[axis.name] for axis in self._axes] for _, found in final])
        ranks = pareto.ranks(table * self._signs, MOST // 2)
        best = {final[i][0] for i in np.argsort(ranks, kind="stable")[: MOST // 2]}
        newest = [i for i in range(len(trials)) if i not in best][len(best) - MOST :]
        return [trials[i] for i in sorted([*best, *newest])]

    def _points(self, draws: Sequence[Params]) -> Array:
        return np.array([self._at.of(params) for params in draws])

    def _known(self, params: Params) -> Mapping[str, float]:
        """The same for each draw of the same student, of which there are few."""
        student = {path: v for path, v in params.items() if path.startswith("student.")}
        text = json.dumps(student)
        if text not in self._sizes:
            self._sizes[text] = self._ask(params)
        return self._sizes[text]


def foretold(stopped: Seen, ended: Sequence[Seen]) -> tuple[float, float]:
    """The accuracy that a stopped trial would have ended with, and its standard deviation.

    Args:
        stopped: it has a curve.
        ended: complete trials with curves, one at least.
    """
    share, accuracy = stopped.curve[-1]
    known = [(np.array(t.curve), t.final["accuracy"]) for t in ended if t.final]
    then = np.array([np.interp(share, curve[:, 0], curve[:, 1]) for curve, _ in known])
    alike = np.argsort(np.abs(then - accuracy), kind="stable")[:ALIKE]
    rises = np.array([end for _, end in known])[alike] - then[alike]
    return accuracy + float(np.median(rises)), float(rises.std())
