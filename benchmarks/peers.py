"""Other tools in a replay, by their own classes.

Tune's OptunaSearch and ASHAScheduler are called as Tune's loop calls them: a stopped trial's
last report goes to `on_trial_complete`, so that Optuna is told COMPLETE with the accuracy of half a
training. syne-tune's MOASHA runs under the interpreter of an environment of its own, where
`pip install syne-tune==0.16.0` was run; its searcher draws at random, and so do we for it. Its
priorities are the indices of a sort where places are meant, and rank 47 % of dominated pairs the
wrong way; `mended` gives it places.
"""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace
from typing import Any

from optuna.trial import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch
from replay import Student
from strategies import FACTOR, GRACE, Axes, Made

from tune_distill.searcher.draws import through
from tune_distill.space import Space


class TuneASHA:
    """Tune's ASHAScheduler on accuracy."""

    def __init__(self, epochs: int) -> None:
        self._scheduler = ASHAScheduler(
            time_attr="training_iteration",
            metric="accuracy",
            mode="max",
            max_t=epochs,
            grace_period=GRACE,
            reduction_factor=FACTOR,
        )
        self._known: set[int] = set()

    def stops(self, number: int, student: Student, epoch: int) -> bool:
        """The scheduler's answer."""
        trial: Any = SimpleNamespace(trial_id=str(number))
        controller: Any = None
        if number not in self._known:
            self._known.add(number)
            self._scheduler.on_trial_add(controller, trial)
        result = {"training_iteration": epoch, **student.measures(epoch)}
        answer = self._scheduler.on_trial_result(controller, trial, result)
        return bool(answer == TrialScheduler.STOP)


class Stock:
    """Tune's OptunaSearch as it comes."""

    def __init__(self, space: Space, make: Made, axes: Axes, seed: int) -> None:
        self._space, self._make, self._axes = space, make, axes

        def ask(trial: Trial) -> None:
            space.draw(through(trial))

        self._search = OptunaSearch(
            ask,
            metric=[axis.name for axis in axes],
            mode=[axis.goal for axis in axes],
            seed=seed,
        )

    def ask(self, number: int) -> Student:
        """What it suggests."""
        config = self._search.suggest(str(number)) or {}
        params = self._space.draw(lambda name, _distribution: config[name])
        return self._make(params, number)

    def end(self, number: int, student: Student, epoch: int) -> None:
        """The last report, whatever it is of."""
        self._search.on_trial_complete(str(number), student.measures(epoch))


SERVER = """
import json, sys
from datetime import datetime
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import MOPriority
import numpy as np

class Mended(MOPriority):
    def priority_unsafe(self, objectives):
        from syne_tune.optimizer.schedulers.multiobjective.non_dominated_priority import (
            nondominated_sort)
        order = nondominated_sort(X=objectives, dim=0)
        places = np.empty(len(order), int)
        places[order] = np.arange(len(order))
        return places

for line in sys.stdin:
    said = json.loads(line)
    if "begin" in said:
        keys, trials = said["begin"], {}
        if keys.pop("mended"):
            keys["multiobjective_priority"] = Mended()
        np.random.seed(keys["random_seed"])
        one = MOASHA(config_space={}, **keys)
        answer = "ready"
    else:
        name, result = said["trial"], said["result"]
        if name not in trials:
            trials[name] = Trial(name, {}, datetime.now())
            one.on_trial_add(trials[name])
        answer = one.on_trial_result(trials[name], result)
    print(json.dumps(answer), flush=True)
"""


class SyneTune:
    """syne-tune's MOASHA, in another process.

    Args:
        python: the interpreter of an environment that has it.
        axes: the objectives.
        epochs: of a training.
        seed: of its brackets; there is one.
        mended: with priorities where it returns the indices of a sort.
    """

    def __init__(
        self, python: str, axes: Axes, epochs: int, seed: int, mended: bool = False
    ) -> None:
        self._axes, self._epochs = axes, epochs
        self._names = [axis.name for axis in axes]
        self._process = subprocess.Popen(
            [python, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        halving = {"max_t": epochs, "grace_period": GRACE, "reduction_factor": FACTOR}
        begin = {"metrics": self._names, "do_minimize": True, "random_seed": seed, **halving}
        self._say({"begin": {**begin, "mended": mended}})

    def stops(self, number: int, student: Student, epoch: int) -> bool:
        """Its answer."""
        losses = dict(zip(self._names, student.losses(self._axes, epoch), strict=True))
        return self._say({"trial": number, "result": {"training_iteration": epoch, **losses}}) == (
            "STOP"
        )

    def __del__(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, what: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("no pipe to syne-tune")
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())
