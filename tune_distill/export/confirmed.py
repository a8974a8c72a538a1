"""What `confirm` says of students that are exported: confirm.json, read.

A trial is confirmed where that file tells of it with the params that it has. On the confirmed front
it is where one of its forms is: int8 may be there and push PyTorch's own off.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_distill.confirm.summary import REPORT, SCHEMA
from tune_distill.errors import DataError
from tune_distill.record import TrialRecord

Entry = Mapping[str, Any]  # of `models` in confirm.json
_TRIALS = ("front", "kd")  # roles of models that the search has trained, too


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A confirmation.

    told: confirm.json (`confirm.summary`)
    """

    told: Mapping[str, Any]

    @classmethod
    def read(cls, study: Path) -> Confirmed | None:
        """The confirmation in a study's folder; None where there was none.

        Raises:
            DataError: it is damaged, or of an earlier version.
        """
        file = study / REPORT
        try:
            told = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise DataError(
                f"{file}: {error}; run confirm again, which trains nothing anew"
            ) from None
        if told.get("schema") != SCHEMA:
            raise DataError(
                f"{file}: schema {told.get('schema')}, this version reads {SCHEMA}; run confirm "
                "again, which trains nothing anew"
            )
        return cls(told)

    def of(self, record: TrialRecord) -> list[Entry]:
        """What it says of a trial's forms, PyTorch's first; nothing where it has not tried it."""
        return [
            one
            for one in self.told["models"]
            if one["role"] in _TRIALS
            and one["trial"] == record.number
            and one["params"] == dict(record.params)
        ]

    def members(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """The trials that the confirmed front has, in one form or another."""
        return [one for one in records if any(entry["on_front"] for entry in self.of(one))]

    def claims(self, names: Sequence[str]) -> list[Mapping[str, Any]]:
        """The comparisons in which one of these models comes first or second."""
        return [
            claim
            for claim in self.told["claims"]
            if claim["first"] in names or claim["second"] in names
        ]

    def shown(self, record: TrialRecord) -> dict[str, Any] | None:
        """What metrics.json holds of it; None where it says nothing of this trial."""
        entries = self.of(record)
        if not entries:
            return None
        names = [entry["name"] for entry in entries]
        kept = ("seeds", "rows", "attacked_rows", "teacher", "teacher_intervals", "latency")
        beside = {"params", "metrics", "searched", "role", "trial", "trials"}
        return {
            **{name: self.told[name] for name in kept},
            "models": [{k: v for k, v in one.items() if k not in beside} for one in entries],
            "claims": self.claims(names),
        }

    def found(self, record: TrialRecord) -> float | None:
        """The held-out figure, in the task's metric, of the very student that is exported."""
        entries = self.of(record)
        return entries[0]["heldout"]["accuracy"]["found"] if entries else None

    def in_words(self, record: TrialRecord) -> str:
        """`0.812 \u00b1 0.004 over 5 fresh seeds`; nothing where it says nothing of this trial."""
        entries = self.of(record)
        if not entries:
            return ""
        return f"{spread(entries[0]['heldout']['accuracy'])} over {self.told['seeds']} fresh seeds"


def spread(one: Mapping[str, Any]) -> str:
    """Mean \u00b1 standard deviation."""
    return f"{one['mean']:.4f}" + ("" if one["sd"] is None else f" \u00b1 {one['sd']:.4f}")
