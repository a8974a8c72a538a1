"""Failures in a row that trials share: a fault of ours, of the data or of the machine.

Without this a mistyped path or a full GPU would burn the whole budget, one trial at a time.
"""

from __future__ import annotations

from tune_distill.errors import TuneDistillError
from tune_distill.record import TrialRecord

LIMIT = 3
OWN = {"Diverged": 10, "OutOfMemoryError": 10}  # a trial's own knobs may well be the cause


class Streak:
    """Counts the failures of one kind in a row."""

    def __init__(self) -> None:
        self._failed: list[TrialRecord] = []

    def ended(self, record: TrialRecord) -> None:
        """Takes the end of a trial into account.

        Raises:
            TuneDistillError: too many trials in a row have failed in the same way.
        """
        if record.state != "failed":
            self._failed = []
            return
        if self._failed and kind(self._failed[-1]) != kind(record):
            self._failed = []
        self._failed.append(record)
        if len(self._failed) >= OWN.get(kind(record), LIMIT):
            raise TuneDistillError(self._message())

    def _message(self) -> str:
        last = self._failed[-1]
        numbers = ", ".join(str(record.number) for record in self._failed)
        every = [set(record.params.items()) for record in self._failed]
        shared = set.intersection(*every)
        shown = sorted(f"{name}={value}" for name, value in shared if value is not None)
        return (
            f"{len(self._failed)} trials in a row failed in the same way (trials {numbers}): "
            f"{last.reason}; they share {', '.join(shown) or 'no value of any parameter'}. "
            "The whole story is in error.txt of their folders; mend the cause and run the same "
            "command again"
        )


def kind(record: TrialRecord) -> str:
    """The class of the error behind a failed trial."""
    return record.reason.partition(":")[0]
