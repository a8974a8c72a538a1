"""Draws of a study's space as Optuna trials: sampled, enqueued from a published setting, given."""

from __future__ import annotations

import optuna
from optuna.trial import Trial

from tune_distill.searcher.draws import as_optuna, through
from tune_distill.space import Constant, Params, Space
from tune_distill.spec.enqueue import setting


class Proposals:
    """What an Optuna study proposes for a space."""

    def __init__(self, study: optuna.Study, space: Space) -> None:
        self._study, self._space = study, space

    def ask(self) -> tuple[Trial, Params]:
        """The next draw; one that was enqueued keeps what its setting fixes."""
        trial = self._study.ask()
        params = self._space.draw(through(trial))
        name = trial.user_attrs.get("enqueued")
        return trial, params | setting(name, self._space) if name else params

    def enqueue(self, name: str, attempt: int = 0) -> None:
        """Lets Optuna ask next for a published setting, with a student of its sampler's choice."""
        searched = {
            path: value
            for path, value in setting(name, self._space).items()
            if not isinstance(self._space.at(path), Constant)
        }
        self._study.enqueue_trial(searched, user_attrs={"enqueued": name, "attempt": attempt})

    def enqueue_again(self, refused: Trial, attempts: int) -> None:
        """The same setting with another student, where its draw was refused; so often at most."""
        asked = refused.user_attrs
        if "enqueued" in asked and asked["attempt"] < attempts:
            self.enqueue(asked["enqueued"], asked["attempt"] + 1)

    def given(self, params: Params) -> Trial:
        """A trial of values that are given."""
        chosen, _ = as_optuna(self._space, params)
        self._study.enqueue_trial(chosen)
        trial = self._study.ask()
        self._space.draw(through(trial))
        return trial
