"""What all trials of a study share: `prepare` makes it; draws and trials read it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.general import Corpus
from tune_distill.hardening import Hardening
from tune_distill.methods import TaskShape
from tune_distill.outcome import Outcome
from tune_distill.reading import Reading
from tune_distill.robustness.resources import Resources
from tune_distill.tasks import Prepared, Task
from tune_distill.taught import Augmented, Taught

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class Inputs:
    """What all trials of a study share: folders that each opens by itself, and a few numbers."""

    task: Path  # tokenised for the teacher
    readings: tuple[Reading, ...]  # one for each checkpoint and vocabulary of the space
    teacher: Path  # Hugging Face files
    signals: Path | None  # the teacher's; None where no method has a use for them
    outcome: Outcome  # of the teacher, on the search split
    general: Corpus | None  # of the phase before the task
    resources: Resources  # of the attacks
    digests: tuple[tuple[str, str], ...]  # of the data, the teacher, checkpoints, by name
    answers: Path | None = None  # the teacher's, on the search split
    hardened: tuple[Taught, ...] = ()  # teachers that defences of the stage `teacher` made
    augmented: tuple[Augmented, ...] = ()  # adversarial rows of train

    def under(self, defence: Hardening | None) -> Inputs:
        """The same for a trial that drew a defence: its own teacher in the teacher's place."""
        if defence is None or not defence.of_teacher:
            return self
        wanted = defence.in_teacher()
        own = next(one for one in self.hardened if one.defence == wanted)
        return replace(
            self,
            teacher=own.folder,
            signals=own.signals,
            answers=own.answers,
            outcome=own.outcome,
            readings=tuple(one.beside(self.teacher, own.folder) for one in self.readings),
        )


def task_shape(task: Prepared | Task) -> TaskShape:
    """What a method may ask of a task."""
    return TaskShape(max(1, len(task.label_names)), task.kind)


@lru_cache(maxsize=8)
def teacher_config(folder: Path) -> PreTrainedConfig:
    """The architecture of a teacher in its folder."""
    from transformers.models.auto.configuration_auto import AutoConfig

    config: PreTrainedConfig = AutoConfig.from_pretrained(folder)
    return config
