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
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.trial import Trial, TrialState
from ray.tune.search import Searcher

from tune_distill.errors import NoFeasibleStudent
from tune_distill.folder import State, StudyFolder, TrialRecord
from tune_distill.searcher.draws import Infeasible
from tune_distill.searcher.earlier import Draw, key, reconcile, seconds
from tune_distill.searcher.proposals import Proposals
from tune_distill.searcher.refusals import Refusals
from tune_distill.searcher.study import tell
from tune_distill.space import Params, at_random
from tune_distill.spec import StudySpec

ASKED = 20  # rejected draws in a row before the sampler is passed over: it repeats what it knows
GIVE_UP = 2000  # rejected draws in a row before the space counts as exhausted


class AskTell(Searcher):
    """Optuna behind Tune. An error in here is kept in `error`, for the launcher to raise.

    Args:
        study: of `open_study`.
        spec: whose space is drawn from.
        folder: where the records are.
        infeasible: the reasons why a draw must not be trained; none for a good one. May be set
            later.
        late: whether no further trial may start.
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
        late: Callable[[], bool] = lambda: False,
        started: Callable[[Draw], None] = lambda _: None,
        ended: Callable[[TrialRecord], None] = lambda _: None,
        unfiled: Callable[[str, Draw, State], TrialRecord],
    ) -> None:
        super().__init__()
        self.study, self.spec, self.folder = study, spec, folder
        self.infeasible, self._started, self._ended = infeasible, started, ended
        self._unfiled, self._late = unfiled, late
        self.error: Exception | None = None
        self.exhausted = False
        self.closed = False
        self._proposals = Proposals(study, spec.search_space)
        self._refusals = Refusals()
        self._live: dict[str, Draw] = {}
        earlier = reconcile(study, spec, {record.number: record for record in folder.records()})
        self._seen = earlier.seen
        self._again, self._lost = deque(earlier.again), deque(earlier.lost)
        self._refusals.counts.update(earlier.rejected)
        if earlier.new:
            for name in spec.search.enqueue:
                self._proposals.enqueue(name)

    @property
    def rejected(self) -> dict[str, int]:
        """How many draws got no trial, by why."""
        return self._refusals.counts

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The next trial's config for Tune, or FINISHED."""
        if self.error or self.closed or self._late():
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
            tell(self.study, record, self.spec)
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
            return self._accept(self._proposals.given(params), params, {"again_of": number})
        for _ in range(ASKED):
            trial, params = self._proposals.ask()
            refusal = self._refuse(params)
            if not refusal:
                return self._accept(trial, params, {})
            self._proposals.enqueue_again(trial, ASKED)
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
                return self._accept(self._proposals.given(params), params, {})
        if not self._seen:
            raise NoFeasibleStudent(
                f"{GIVE_UP} draws of the space, and none can be trained: "
                f"{self._refusals.common()}; "
                "widen the space or loosen the constraint"
            )
        self.exhausted = True
        return None

    def _refuse(self, params: Params) -> dict[str, Any]:
        """Why a draw gets no trial, as the attribute to keep; empty for a good one."""
        if reasons := self.infeasible(params):
            self._refusals.infeasible(reasons)
            return {"infeasible": reasons}
        if key(params, self.spec) in self._seen:
            self._refusals.duplicate()
            return {"duplicate": True}
        return {}

    def _accept(self, trial: Trial, params: Params, attributes: Mapping[str, Any]) -> Draw:
        self._seen.add(key(params, self.spec))
        seed = params.get("train.seed")
        seed = self.spec.search.seed + trial.number if seed is None else seed
        params = {**params, "train.seed": seed}
        for name, value in {**attributes, "seed": seed, "params": params}.items():
            trial.set_user_attr(name, value)  # `params` last: it makes the draw a trial
        return Draw(trial.number, params, seconds(trial.datetime_start))

    def _record(
        self, trial_id: str, draw: Draw, result: Mapping[str, Any], lost: bool
    ) -> TrialRecord:
        """What the worker recorded; for one that could not, what the driver knows of it."""
        if "record" in result:
            return TrialRecord.from_json(json.loads(result["record"]))
        return self.folder.read(draw.number) or self._unfiled(
            trial_id, draw, "failed" if lost else "pruned"
        )
