"""The searcher that searches nothing: hands out given trials, those that have not ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from tune_distill.folder import StudyFolder
from tune_distill.record import TrialRecord
from tune_distill.searcher.asker import Asker, Draw, Unfiled
from tune_distill.space import Params


class Given(Asker):
    """Trials that are known beforehand.

    Args:
        trials: the parameters of each, with its seed, by number.
        folder: where the records are; a trial that has one is not handed out.
        late: as `Asker`'s.
        started: as `Asker`'s.
        ended: as `Asker`'s.
        unfiled: as `Asker`'s.
    """

    def __init__(
        self,
        trials: Mapping[int, Params],
        folder: StudyFolder,
        *,
        late: Callable[[], bool] = lambda: False,
        started: Callable[[Draw], None] = lambda _: None,
        ended: Callable[[TrialRecord], None] = lambda _: None,
        unfiled: Unfiled,
    ) -> None:
        super().__init__(folder, late=late, started=started, ended=ended, unfiled=unfiled)
        done = {record.number for record in folder.records()}
        self._waiting = deque(
            (number, params) for number, params in trials.items() if number not in done
        )

    def _next(self) -> Draw | None:
        if not self._waiting:
            return None
        number, params = self._waiting.popleft()
        return Draw(number, params, time.time())

    def _take_back(self, draws: list[Draw]) -> None:
        self._waiting.extend((draw.number, draw.params) for draw in draws)
