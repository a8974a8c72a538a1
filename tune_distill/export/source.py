"""What an export reads of a study: its document, its trials, their front, its teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tune_distill.export.confirmed import Confirmed
from tune_distill.folder import StudyFolder
from tune_distill.front import Front
from tune_distill.outcome import Outcome
from tune_distill.record import TrialRecord
from tune_distill.spec import StudySpec, resolve


@dataclass(frozen=True, eq=False)
class Source:
    """A study with its finished trials."""

    folder: StudyFolder
    document: Mapping[str, Any]  # its YAML
    spec: StudySpec  # what that says
    records: Sequence[TrialRecord]  # of all ended trials

    @classmethod
    def of(cls, folder: StudyFolder, document: Mapping[str, Any]) -> Source:
        """The study in a folder."""
        return cls(folder, document, resolve(document), folder.records())

    @cached_property
    def front(self) -> Front:
        """Of its trials."""
        return Front(self.records, self.spec.axes, self.spec.bounds)

    @cached_property
    def teacher(self) -> Outcome | None:
        """The teacher's measures, for comparison."""
        return self.folder.teacher()

    @cached_property
    def confirmed(self) -> Confirmed | None:
        """What `confirm` says of its trials; None where it was not run."""
        return Confirmed.read(self.folder.path)

    def name(self, record: TrialRecord) -> str:
        """What a trial's student is called."""
        return f"{self.spec.name}-trial-{record.number}"
