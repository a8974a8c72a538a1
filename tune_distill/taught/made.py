"""Teachers made ready before the first trial: hardened, their signals cached, measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tune_distill import cache, measure, teacher
from tune_distill.errors import SpecError
from tune_distill.files import write_atomically
from tune_distill.hardening import Augment, Hardening
from tune_distill.measure.robustness import select_rows
from tune_distill.methods import TaskShape
from tune_distill.methods.finetune import FineTune
from tune_distill.outcome import Outcome
from tune_distill.robustness import frozen
from tune_distill.robustness import resources as attack_resources
from tune_distill.robustness.resources import Resources
from tune_distill.signals import Needs
from tune_distill.spec import StudySpec, beforehand
from tune_distill.tasks import Prepared, Task
from tune_distill.taught.opened import Augmented, filed, given
from tune_distill.teacher.store import Say

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Taught:
    """A teacher, and what was made of it."""

    folder: Path
    signals: Path | None  # None where no method has a use for them
    answers: Path | None  # filed as signals are; None where a row has not one class
    outcome: Outcome  # on the search split
    defence: Hardening | None = None  # which hardened it


@dataclass(frozen=True)
class Lessons:
    """How teachers of one study are made ready."""

    spec: StudySpec
    task: Prepared
    needs: Needs  # of all its methods
    resources: Resources
    root: Path  # of all caches
    say: Say
    device: str

    def taught(self, folder: Path, defence: Hardening | None = None) -> Taught:
        """A teacher with its signals, its answers and its measures, from the cache or made now."""
        model = teacher.load(folder)
        signals = self._cached(model) if self.needs else None
        answers = answered(model, self.task, self.root, self.device)
        return Taught(folder, signals, answers, self._outcome(model, folder, answers), defence)

    def augmented(self, plain: Path) -> tuple[Augmented, ...]:
        """The adversarial rows that the study's students learn from."""
        return tuple(
            Augmented(one, self._augmented(one, plain))
            for one in beforehand.augments(self.spec.space.robust)
        )

    def hardened(
        self, plain: Path, rows: Task, augmented: tuple[Augmented, ...]
    ) -> Iterator[Taught]:
        """The teachers that the study's defences of that stage make of its own."""
        spec = self.spec
        for defence in beforehand.teachers(spec.space.robust):
            folder = teacher.harden(
                defence,
                plain,
                spec.teacher,
                rows,
                spec.task.max_length,
                given(spec, self.resources, defence, augmented, self.device),
                root=self.root / "teachers",
                say=self.say,
                device=self.device,
            )
            found = teacher.check(folder, self.task, device=self.device)  # above chance
            made = self.taught(folder, defence)
            robust = made.outcome.robust_worst
            self.say(
                f"teacher hardened by {defence.shown}: {found.metric} {found.score:.4f}"
                + (f", robust_worst {robust:.4f}" if robust is not None else "")
            )
            yield made

    def _cached(self, model: PreTrainedModel) -> Path:
        made = cache.ensure(
            model,
            self.task.train,
            self.needs,
            self.root / "signals",
            limit_gb=self.spec.teacher.cache_gb,
            say=self.say,
            device=self.device,
        )
        return made.folder

    def _augmented(self, defence: Augment, plain: Path) -> Path:
        labels = np.asarray(self.task.train.labelled().labels, np.int64)
        model = teacher.load(plain)
        return frozen.keep(
            model,
            teacher.load_tokenizer(plain),
            teacher.digest(model),
            self.task,
            select_rows(labels, defence.rows),
            frozen.recipe_of(defence, self.spec.robustness.profile),
            root=self.root / "adversarial",
            resources=self.resources.open(self.device),
            device=self.device,
            say=self.say,
        )

    def _outcome(self, model: PreTrainedModel, folder: Path, answers: Path | None) -> Outcome:
        """A teacher's own measures, of its answers where they are filed; remembered beside it."""
        spec, resources = self.spec, self.resources
        attacks = attack_resources.identities(spec, resources)
        asked = json.dumps([self.task.key, spec.robustness.rows if attacks else 0, attacks])
        name = hashlib.sha256(asked.encode()).hexdigest()[:16]
        memory = folder / "outcomes" / f"{name}.json"
        try:
            return Outcome.from_json(json.loads(memory.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            self.say("measuring the teacher, to compare its students with")
        tokenizer, rows = teacher.load_tokenizer(folder), memory.with_suffix(".parquet")
        memory.parent.mkdir(exist_ok=True)
        outcome = measure.measure(
            model,
            tokenizer,
            self.task,
            spec,
            self.device,
            resources=resources,
            rows=rows,
            logits=filed(answers),
        )
        write_atomically(memory, json.dumps(outcome.to_json()))
        return outcome


def answered(model: PreTrainedModel, task: Prepared, root: Path, device: str) -> Path | None:
    """Where a teacher's answers on the search split are filed, now or before, as signals are.

    None where a row has not one class.
    """
    if task.kind != "single_label":
        return None
    asked, folder = Needs(logits=True), root / "signals"
    made = cache.ensure(
        model, task.search, asked, folder, limit_gb=np.inf, say=_nobody, device=device, exact=True
    )
    return made.folder


def refuse(spec: StudySpec, task: TaskShape) -> None:
    """Refuses defences that can't harden a teacher.

    Raises:
        SpecError: a line for each.
    """
    wrong = {
        f"space.robust.{defence.name}.stage: teacher: {reason}"
        for defence in beforehand.teachers(spec.space.robust)
        for reason in defence.check(FineTune(), task)
    }
    if wrong:
        raise SpecError(sorted(wrong))


def _nobody(_line: str) -> None:
    """Hears what is of no interest."""
