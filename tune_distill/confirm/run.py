"""One trial of a confirmation: trained as the search's were, then read on the held-out rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tune_distill import reading, tasks, teacher, trial
from tune_distill.confirm.read import attacked_in_full, look, seen
from tune_distill.folder import write_atomically
from tune_distill.outcome import Outcome
from tune_distill.prepare import Inputs
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig
from tune_distill.taught import reference

TRAINED = "trained.json"  # the outcome on the search split, once the student is there


@dataclass(frozen=True)
class Found:
    """A student that the search has trained already."""

    student: Path
    outcome: Outcome


@dataclass(frozen=True)
class Confirming:
    """`trial.run` for a confirmation; can be pickled.

    found: the students that are read as they are, by `key` of their parameters
    rows: held-out rows to attack; None is all
    """

    found: Mapping[str, Found]
    rows: int | None = None

    def __call__(
        self,
        spec: StudySpec,
        params: Params,
        inputs: Inputs,
        folder: Path,
        report: trial.Report,
        *,
        threads: int = 1,
        device: str = "cpu",
    ) -> Outcome:
        """Trains what the search has not, reads the held-out rows; as `trial.run`.

        Returns:
            The measures on the search split. Those on the held-out rows are in `folder` (`read`).
        """
        student, outcome = folder / "student", _trained(folder)
        if found := self.found.get(key(params)):
            student, outcome = found.student, found.outcome
        if outcome is None:
            outcome = trial.run(
                spec, params, inputs, folder, report, threads=threads, device=device
            )
            write_atomically(folder / TRAINED, json.dumps(outcome.to_json()))
        if not seen(folder):
            config = TrialConfig.from_params(params)
            taught = inputs.under(config.robust)
            own = reading.find(inputs.readings, config.student)
            model = teacher.load(student)
            nn.Module.to(model, device)
            look(
                model,
                teacher.load_tokenizer(student),
                tasks.open_prepared(own.task),
                attacked_in_full(spec, self.rows),
                folder,
                device,
                inputs.resources,
                reference(taught.teacher, taught.answers, taught.task, device),
            )
        return outcome


def run(found: Mapping[str, Found], rows: int | None = None) -> Confirming:
    """What a confirmation's worker runs."""
    return Confirming(found, rows)


def key(params: Params) -> str:
    """The same text for the same parameters."""
    return json.dumps(params, sort_keys=True)


def _trained(folder: Path) -> Outcome | None:
    """The outcome of a student that an interrupted run has finished; None if it has not."""
    try:
        return Outcome.from_json(json.loads((folder / TRAINED).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None
