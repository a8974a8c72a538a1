"""The readings of a study, prepared once: whose tokens, how many, and what they do to the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from tune_distill import tasks, teacher
from tune_distill.reading.outline import Outline
from tune_distill.reading.vocabularies import Vocab, told, vocabularies
from tune_distill.signals import Needs
from tune_distill.spec import StudentSpec, StudySpec
from tune_distill.spec.space import every, nodes
from tune_distill.tasks import Prepared, Task
from tune_distill.tasks.pruning import is_part
from tune_distill.teacher.loading import load_config
from tune_distill.teacher.store import Say


@dataclass(frozen=True)
class Reading:
    """One way to read the task's text."""

    checkpoint: str | None
    vocab: Vocab
    task: Path  # the rows, in these tokens
    tokenizer: Path  # Hugging Face files
    source: Path  # Hugging Face files of the model that a student starts from, with all its tokens
    of_teacher: bool  # whether the tokens are the teacher's: its signals of tokens can be used

    def beside(self, plain: Path, other: Path) -> Reading:
        """The same for students of another teacher, of the same tokens, than the study's `plain`.

        What starts from a checkpoint stays with it.
        """
        if self.source != plain:
            return self
        tokenizer = other if self.tokenizer == plain else self.tokenizer
        return replace(self, source=other, tokenizer=tokenizer)


One = TypeVar("One", Reading, Outline)


def find(readings: Iterable[One], student: StudentSpec) -> One:
    """A student's own reading (or its outline) among those of its study."""
    wanted = student.checkpoint, student.vocab
    return next(one for one in readings if (one.checkpoint, one.vocab) == wanted)


def foreign(checkpoint: str | None, method: str, needs: Needs) -> list[str]:
    """The reasons why a method can't teach in tokens that aren't the teacher's; empty if it can.

    Args:
        checkpoint: whose they are.
        method: its name.
        needs: what it asks of the teacher.
    """
    names = [name for name in needs.names() if name != "logits"]
    if not names:
        return []
    return [
        f"{checkpoint} reads other tokens than the teacher, and {method} compares what both make "
        f"of the same ones ({', '.join(names[:3])}{', ...' * (len(names) > 3)}); methods on logits "
        "alone, such as kd, teach across tokenizers"
    ]


def prepare(
    spec: StudySpec, folder: Path, prepared: Prepared, rows: Task, root: Path, say: Say
) -> tuple[Reading, ...]:
    """Prepares every reading of a study.

    Args:
        spec: the study.
        folder: of its teacher.
        prepared: the task in the teacher's tokens.
        rows: the task as text.
        root: the folder of all caches.
        say: hears what a smaller vocabulary does to the texts.

    Raises:
        TeacherError: a checkpoint can't be had, or doesn't suit the task.
        DataError: a vocabulary is too small, or its tokenizer of a kind that can't lose tokens.
    """
    reference, taught = teacher.load_tokenizer(folder), load_config(folder, str(folder))
    found = []
    for checkpoint in every(nodes(spec.space.student)["checkpoint"]):
        source, tokenizer, whole = folder, reference, prepared
        if checkpoint is not None:
            source = teacher.adopt_checkpoint(
                checkpoint, taught, rows, spec.task.max_length, root, say
            )
            tokenizer = teacher.load_tokenizer(source)
            whole = tasks.prepare(spec.task, tokenizer, root / "tasks", rows)
        for vocab, own in vocabularies(spec, tokenizer, source, whole.train, root, say):
            smaller = teacher.load_tokenizer(own)
            task = tasks.prepare(spec.task, smaller, root / "tasks", rows)
            if own != source:
                texts = (whole.train, whole.search), (task.train, task.search)
                say(told(checkpoint, tokenizer, smaller, *texts))
            of_teacher = is_part(smaller, reference)
            found.append(Reading(checkpoint, vocab, task.folder, own, source, of_teacher))
    return tuple(found)
