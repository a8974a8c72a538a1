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

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from tune_distill.errors import NoFeasibleStudent
from tune_distill.folder import StudyFolder
from tune_distill.record import TrialRecord
from tune_distill.searcher.asker import Asker, Draw, Unfiled
from tune_distill.searcher.draws import Infeasible, key
from tune_distill.searcher.earlier import reconcile, seconds
from tune_distill.searcher.proposals import Proposals
from tune_distill.searcher.refusals import Refusals
from tune_distill.searcher.study import tell
from tune_distill.space import Params, at_random
from tune_distill.spec import StudySpec

ASKED = 20  # rejected draws in a row before the sampler is passed over: it repeats what it knows
GIVE_UP = 2000  # rejected draws in a row before the space counts as exhausted


class AskTell(Asker):
    """Optuna behind Tune.

    Args:
        study: of `open_study`.
        spec: whose space is drawn from.
        folder: where the records are.
        infeasible: the reasons why a draw must not be trained; none for a good one. May be set
            later.
        late: as `Asker`'s.
        started: as `Asker`'s.
        ended: as `Asker`'s.
        unfiled: as `Asker`'s.
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
        unfiled: Unfiled,
    ) -> None:
        super().__init__(folder, late=late, started=started, ended=ended, unfiled=unfiled)
        self.study, self.spec, self.infeasible = study, spec, infeasible
        self._proposals = Proposals(study, spec.search_space)
        self._refusals = Refusals()
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

    def _take_back(self, draws: list[Draw]) -> None:
        self._again.extend(draws)

    def _tell(self, record: TrialRecord) -> None:
        tell(self.study, record, self.spec)

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
