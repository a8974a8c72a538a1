"""The searcher: asks Optuna for draws, gives Tune those that are worth a trial, tells the ends.

A trial keeps Optuna's number for life: in its folder, its seed and its record. A trial whose
search was killed is handed out again under its own number, so that it continues from its own
checkpoint and is told once.

    drawn > infeasible, or drawn before      FAIL, attribute `infeasible` or `duplicate`; no trial
    ended > final report                     COMPLETE with the objectives' values
          > stopped before its final report  PRUNED
          > crashed, NaN, worker lost        FAIL
"""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from ray.tune.search import Searcher

from tune_distill.errors import NoFeasibleStudent
from tune_distill.folder import State, StudyFolder, TrialRecord
from tune_distill.searcher.draws import Infeasible, as_optuna, through
from tune_distill.searcher.study import STATES, values
from tune_distill.space import Constant, Params, at_random
from tune_distill.spec import StudySpec
from tune_distill.spec.enqueue import setting

ASKED = 20  # rejected draws in a row before the sampler is passed over: it repeats what it knows
GIVE_UP = 2000  # rejected draws in a row before the space counts as exhausted


@dataclass(frozen=True)
class Draw:
    """A trial that Tune is to run."""

    number: int  # Optuna's
    params: Params  # with the seed
    started: float  # seconds since the epoch


class AskTell(Searcher):
    """Optuna behind Tune. An error in here is kept in `error`, for the launcher to raise.

    Args:
        study: of `open_study`.
        spec: whose space is drawn from.
        folder: where the records are.
        infeasible: the reasons why a draw must not be trained; none for a good one. May be set
            later.
        started: called with each draw that is handed out.
        ended: called with the record of each trial that ends.
        unfiled: files and returns the record of a trial (Tune's id, draw, state) whose worker
            could not: it was stopped, or its worker is lost.
    """

    def __init__(
        self,
        study: optuna.Study,
        spec: StudySpec,
        folder: StudyFolder,
        *,
        infeasible: Infeasible = lambda _: [],
        started: Callable[[Draw], None] = lambda _: None,
        ended: Callable[[TrialRecord], None] = lambda _: None,
        unfiled: Callable[[str, Draw, State], TrialRecord],
    ) -> None:
        super().__init__()
        self.study, self.spec, self.folder = study, spec, folder
        self.infeasible, self._started, self._ended = infeasible, started, ended
        self._unfiled = unfiled
        self.error: Exception | None = None
        self.exhausted = False
        self.closed = False
        self.rejected = {"infeasible": 0, "duplicate": 0}  # draws that got no trial
        self._reasons: Counter[str] = Counter()  # of infeasible draws
        self._seen: set[str] = set()
        self._again: deque[Draw] = deque()
        self._lost: deque[tuple[int, Params]] = deque()
        self._live: dict[str, Draw] = {}
        self._reconcile({record.number: record for record in folder.records()})

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's config for Tune, or FINISHED."""
        if self.error or self.closed:
            return str(Searcher.FINISHED)
        try:
            draw = self._next()
            if draw is None:
                return str(Searcher.FINISHED)
            self._live[trial_id] = draw
            self._started(draw)
        except Exception as error:
            self.error = error
            return str(Searcher.FINISHED)
        return {"number": draw.number, "params": draw.params, "started": draw.started}

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, Any] | None = None,
        error: bool = False,
    ) -> None:
        """Files and tells the end of a trial: as its worker recorded it, or else as it looks."""
        draw = self._live.pop(trial_id, None)
        if draw is None or self.closed:
            return
        try:
            record = self._record(trial_id, draw, result or {}, error)
            self._tell(record)
            self._ended(record)
        except Exception as problem:
            self.error = problem

    def close(self) -> None:
        """Hands nothing out and tells nothing from now on: the search is being stopped."""
        self.closed = True

    def requeue(self) -> None:
        """Takes back the trials that Tune has let go without a word, to hand them out again."""
        self._again.extend(self._live.values())
        self._live.clear()

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal and the records are the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a search resumes from the journal and the records."""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, for the same reason; what Tune pickles of a search is never read."""
        return {}

    def _next(self) -> Draw | None:
        if self._again:
            return self._again.popleft()
        if self._lost:
            number, params = self._lost.popleft()
            return self._accept(self._fixed(params), params, {"again_of": number})
        for _ in range(ASKED):
            trial = self.study.ask()
            params = self._drawn(trial)
            refusal = self._refuse(params)
            if not refusal:
                return self._accept(trial, params, {})
            self._enqueue_again(trial)
            for name, value in refusal.items():
                trial.set_user_attr(name, value)
            self.study.tell(trial, state=TrialState.FAIL)
        return self._at_random()

    def _at_random(self) -> Draw | None:
        """A draw past the sampler, which only repeats itself; None when the space is exhausted."""
        count = len(self.study.get_trials(deepcopy=False))
        suggest = at_random(random.Random(f"{self.spec.search.seed}/{count}"))
        for _ in range(GIVE_UP - ASKED):
            params = self.spec.search_space.draw(suggest)
            if not self._refuse(params):
                return self._accept(self._fixed(params), params, {})
        if not self._seen:
            common = "; ".join(f"{why} ({n} draws)" for why, n in self._reasons.most_common(3))
            raise NoFeasibleStudent(
                f"{GIVE_UP} draws of the space, and none can be trained: {common}; "
                "widen the space or loosen the constraint"
            )
        self.exhausted = True
        return None

    def _refuse(self, params: Params) -> dict[str, Any]:
        """Why a draw gets no trial, as the attribute to keep; empty for a good one."""
        if reasons := self.infeasible(params):
            self.rejected["infeasible"] += 1
            self._reasons.update(reasons)
            return {"infeasible": reasons}
        if self._key(params) in self._seen:
            self.rejected["duplicate"] += 1
            return {"duplicate": True}
        return {}

    def _drawn(self, trial: Trial) -> Params:
        """A draw of the space; one that was enqueued keeps what its setting fixes."""
        params = self.spec.search_space.draw(through(trial))
        name = trial.user_attrs.get("enqueued")
        return params | setting(name, self.spec.search_space) if name else params

    def _enqueue(self, name: str, attempt: int = 0) -> None:
        """Lets Optuna ask next for a published setting, with a student of its sampler's choice."""
        space = self.spec.search_space
        searched = {
            path: value
            for path, value in setting(name, space).items()
            if not isinstance(space.at(path), Constant)
        }
        self.study.enqueue_trial(searched, user_attrs={"enqueued": name, "attempt": attempt})

    def _enqueue_again(self, refused: Trial) -> None:
        asked = refused.user_attrs
        if "enqueued" in asked and asked["attempt"] < ASKED:
            self._enqueue(asked["enqueued"], asked["attempt"] + 1)

    def _fixed(self, params: Params) -> Trial:
        """An Optuna trial of values that are given."""
        chosen, _ = as_optuna(self.spec.search_space, params)
        self.study.enqueue_trial(chosen)
        trial = self.study.ask()
        self.spec.search_space.draw(through(trial))
        return trial

    def _accept(self, trial: Trial, params: Params, attributes: Mapping[str, Any]) -> Draw:
        self._seen.add(self._key(params))
        seed = params.get("train.seed")
        seed = self.spec.search.seed + trial.number if seed is None else seed
        params = {**params, "train.seed": seed}
        for name, value in {**attributes, "seed": seed, "params": params}.items():
            trial.set_user_attr(name, value)  # `params` last: it makes the draw a trial
        return Draw(trial.number, params, _seconds(trial.datetime_start))

    def _record(
        self, trial_id: str, draw: Draw, result: Mapping[str, Any], lost: bool
    ) -> TrialRecord:
        """What the worker recorded; for one that could not, what the driver knows of it."""
        if "record" in result:
            return TrialRecord.from_json(json.loads(result["record"]))
        return self.folder.read(draw.number) or self._unfiled(
            trial_id, draw, "failed" if lost else "pruned"
        )

    def _tell(self, record: TrialRecord) -> None:
        self.study.tell(record.number, values=values(record, self.spec), state=STATES[record.state])

    def _reconcile(self, records: Mapping[int, TrialRecord]) -> None:
        """Brings an earlier run's trials to where this one can go on."""
        trials = self.study.get_trials(deepcopy=False)
        if not trials:
            for name in self.spec.search.enqueue:
                self._enqueue(name)
        redone = {trial.user_attrs.get("again_of") for trial in trials}
        for trial in trials:
            params = trial.user_attrs.get("params")
            record = records.get(trial.number)
            if params is None:
                self._put_away(trial)
                continue
            self._seen.add(self._key(params))
            if record is not None and not trial.state.is_finished():
                self._tell(record)
            elif record is None and not trial.state.is_finished():
                self._again.append(Draw(trial.number, params, _seconds(trial.datetime_start)))
            elif record is None and trial.number not in redone:
                self._lost.append((trial.number, params))

    def _put_away(self, trial: FrozenTrial) -> None:
        """Counts a rejected draw; fails one that was being drawn when the search was killed."""
        for kind in self.rejected:
            self.rejected[kind] += kind in trial.user_attrs
        if trial.state == TrialState.RUNNING:
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _key(self, params: Params) -> str:
        """The same text for the same draw; a seed that follows from the number is no part of it."""
        drawn = self.spec.search_space.entries.get("train.seed") != Constant(None)
        return json.dumps(
            {k: v for k, v in params.items() if drawn or k != "train.seed"}, sort_keys=True
        )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
