"""One trial of a confirmation: trained as the search's were, then read on the held-out rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

from tune_distill import reading, tasks, teacher, trial
from tune_distill.confirm.read import PLAIN, attacked_in_full, look, place, seen
from tune_distill.files import write_atomically
from tune_distill.forms import Wanted, convert
from tune_distill.forms.convert import REFERENCE
from tune_distill.inputs import Inputs
from tune_distill.outcome import Outcome
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig
from tune_distill.taught import reference

TRAINED = "trained.json"  # the outcome on the search split, once the student is there
NO_FURTHER = Wanted()


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
    forms: the further forms of a student that are read, too, by `key` of its parameters
    """

    found: Mapping[str, Found]
    rows: int | None = None
    forms: Mapping[str, Wanted] = field(default_factory=dict)

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
        found = self.found.get(key(params))
        outcome = found.outcome if found else _trained(folder)
        if outcome is None:
            outcome = trial.run(
                spec, params, inputs, folder, report, threads=threads, device=device
            )
            write_atomically(folder / TRAINED, json.dumps(outcome.to_json()))
        self.read(spec, params, inputs, folder, device)
        return outcome

    def student(self, params: Params, folder: Path) -> Path:
        """Where the student of a trial in `folder` is."""
        found = self.found.get(key(params))
        return found.student if found else folder / "student"

    def unread(self, spec: StudySpec, params: Params, folder: Path) -> list[str]:
        """The forms of a trial's student that have not read the held-out rows as they are to."""
        full = attacked_in_full(spec, self.rows)
        forms = (PLAIN, *self.wanted(params).names)
        return [form for form in forms if not seen(place(folder, form), full)]

    def read(
        self, spec: StudySpec, params: Params, inputs: Inputs, folder: Path, device: str
    ) -> None:
        """Reads the held-out rows with a trained student and its forms: those that have not."""
        missing = self.unread(spec, params, folder)
        if not missing:
            return
        config = TrialConfig.from_params(params)
        taught, own = inputs.under(config.robust), reading.find(inputs.readings, config.student)
        student = self.student(params, folder)
        model, tokenizer = teacher.load(student), teacher.load_tokenizer(student)
        task, full = tasks.open_prepared(own.task), attacked_in_full(spec, self.rows)
        compared = reference(taught.teacher, taught.answers, taught.task, device)
        resources = inputs.resources
        if PLAIN in missing:
            missing.remove(PLAIN)
            nn.Module.to(model, device)
            look(model, tokenizer, task, full, folder, device, resources, compared)
        if not missing:
            return
        nn.Module.to(model, "cpu")  # where exported forms run
        with TemporaryDirectory() as scratch:
            made = convert(model, student / REFERENCE, Path(scratch), int8="int8" in missing)
            for form in missing:
                at, one = place(folder, form), made[form]
                at.mkdir(exist_ok=True)
                look(one.served, tokenizer, task, full, at, "cpu", resources, compared, one.size_mb)

    def wanted(self, params: Params) -> Wanted:
        """The further forms of a trial's student."""
        return self.forms.get(key(params), NO_FURTHER)


def key(params: Params) -> str:
    """The same text for the same parameters."""
    return json.dumps(params, sort_keys=True)


def _trained(folder: Path) -> Outcome | None:
    """The outcome of a student that an interrupted run has finished; None if it has not."""
    try:
        return Outcome.from_json(json.loads((folder / TRAINED).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None
