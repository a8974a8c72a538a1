"""The record of an ended trial, `trial.json`: what it drew, what it reported, how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tune_distill.errors import DataError
from tune_distill.outcome import Outcome
from tune_distill.space import Params

State = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Rung:
    """What a trial reported at the end of an epoch."""

    epoch: int
    updates: int
    accuracy: float  # on the search split
    losses: Mapping[str, float]  # each term of the method, mean over the epoch
    seconds: float  # of training and measuring, since the trial (re)started
    guard: float | None = None  # right on the clean text and 4 random changes; where it attacks
    planned: int | None = None  # updates of the whole training
    system: Mapping[str, float] = field(default_factory=dict)  # measure/usage.py, on request


@dataclass(frozen=True)
class TrialRecord:
    """One ended trial."""

    number: int  # Optuna's number
    state: State
    params: Params
    outcome: Outcome | None = None  # of complete trials only
    rungs: tuple[Rung, ...] = ()
    reason: str = ""  # why it failed or was stopped
    started: float = 0.0  # seconds since the epoch
    seconds: float = 0.0  # of work, restarts included
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A plain dict that `from_json` reads back."""
        outcome = self.outcome.to_json() if self.outcome else None
        return {**asdict(self), "outcome": outcome}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialRecord:
        """The record that `to_json` wrote."""
        outcome = Outcome.from_json(data["outcome"]) if data["outcome"] else None
        rungs = tuple(Rung(**rung) for rung in data["rungs"])
        return cls(**{**data, "outcome": outcome, "rungs": rungs})


def read(file: Path) -> TrialRecord | None:
    """The record in a file; None while there is none.

    Raises:
        DataError: the file holds no record.
    """
    try:
        return TrialRecord.from_json(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}: not a trial's record ({error}); delete the file and the trial runs again"
        ) from None
