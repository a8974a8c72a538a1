"""What a draw promises to add to the front, where sizes are known and accuracies are learned.

Of a draw's objectives some are known before it is trained (size, parameters, FLOPs); the others
(accuracy, robustness) are modelled, a Gaussian process on the draws' coordinates each. What a draw
is worth is the expected improvement of the front's hypervolume (Emmerich et al. 2006), over
stratified samples of what is learned. The front is that of the models' means: a lucky measurement
is no mark to beat. Trials in flight count as what the models expect of them (the kriging believer
of Ginsbourger et al. 2010); what the others tell is in `seen.py`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tune_distill import pareto
from tune_distill.outcome import Objective, reference_losses
from tune_distill.searcher.coordinates import Coordinates
from tune_distill.searcher.gaussian import Process
from tune_distill.searcher.seen import Seen, telling, told
from tune_distill.space import Params, Space
from tune_distill.spec.bounds import Bound

Array = NDArray[np.float64]
Known = Callable[[Params], Mapping[str, float]]

DEAR = 200  # draws that are judged in full where there are three objectives or more
SAMPLES = 32  # of what is learned, for each draw
MOST = 300  # trials that the models are made of
GROWN = 1.1  # times the trials so far after which the models' scales are fitted anew


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
        known = self._known(trials[0].params) if trials else {}
        learned = self._learned = [axis for axis in self._axes if axis.name not in known]
        counts = [len(telling(axis.name, trials)) for axis in learned]
        trials = self._some(trials)
        self._models = {
            axis.name: self._model(axis, trials, count)
            for axis, count in zip(learned, counts, strict=True)
        }
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

    def _model(self, axis: Objective, trials: Sequence[Seen], count: int) -> Process:
        """The process of one learned objective.

        Args:
            axis: the objective.
            trials: those that it is made of, and those in flight.
            count: how many trials have told of the objective so far.
        """
        rows = told(axis, trials)
        at = self._points([trial.params for trial, _, _ in rows])
        values = np.array([value for _, value, _ in rows])
        spread = np.array([sd for _, _, sd in rows])
        model = self._scaled(axis.name, count, at, values, spread)
        return self._believing(model, at, values, spread, [t.params for t in trials if t.running])

    def _scaled(self, name: str, count: int, at: Array, values: Array, spread: Array) -> Process:
        """The process of what was told, its scales fitted anew once the trials have grown so."""
        before, model = self._fitted.get(name, (0, None))
        if model is None or not before <= count < GROWN * before:
            model = Process.fit(at, values, spread, self._at.nominal, model)
            self._fitted[name] = count, model
        return model.given(at, values, spread)

    def _believing(
        self, model: Process, at: Array, values: Array, spread: Array, running: Sequence[Params]
    ) -> Process:
        """The process that takes what it expects of the trials in flight for measured."""
        if not running:
            return model
        there = self._points(running)
        return model.given(
            np.vstack([at, there]),
            np.append(values, model.predict(there)[0]),
            np.append(spread, np.zeros(len(there))),
        )

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
