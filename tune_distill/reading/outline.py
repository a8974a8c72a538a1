"""The readings of a study as `check` shows them: what a student will read, and nothing filed."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tune_distill import teacher
from tune_distill.reading.vocabularies import Splits, Vocab, told, vocabularies
from tune_distill.spec import StudySpec
from tune_distill.spec.space import every, nodes
from tune_distill.tasks import Rows, Task, encode
from tune_distill.tasks.pruning import is_part, numbers_in
from tune_distill.teacher.embeddings import renumber
from tune_distill.teacher.store import Say

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

ROWS = 2000  # of a split, that stand for all of it


@dataclass(frozen=True)
class Outline:
    """One way to read the task's text, as far as it is known before anything is made."""

    checkpoint: str | None
    vocab: Vocab
    config: PreTrainedConfig  # of the model that a student starts from, with these tokens alone
    lengths: NDArray[np.int64]  # of some training rows
    of_teacher: bool  # as in Reading


def outlines(
    spec: StudySpec,
    config: PreTrainedConfig,
    reference: PreTrainedTokenizerBase,
    task: Task,
    say: Say,
) -> tuple[Outline, ...]:
    """The readings of a study, told without its teacher's weights.

    Args:
        spec: the study.
        config: of its teacher.
        reference: the teacher's tokenizer.
        task: as text.
        say: hears what a smaller vocabulary does to the texts.
    """
    found = []
    for checkpoint in every(nodes(spec.space.student)["checkpoint"]):
        known = config, reference
        if checkpoint is not None:
            known = teacher.outline_checkpoint(checkpoint, config, task)
        for vocab, own in _tokenizers(spec, known[1], task, say):
            after, shape = _samples(spec, own, task), copy.deepcopy(known[0])
            if own is not known[1]:
                say(told(checkpoint, known[1], own, _samples(spec, known[1], task), after))
                renumber(shape, numbers_in(own, known[1]), int(own.pad_token_id))
            of_teacher = is_part(own, reference)
            found.append(Outline(checkpoint, vocab, shape, after[0].lengths, of_teacher))
    return tuple(found)


def some(rows: Rows) -> Rows:
    """Rows from all over a split, few enough to be read while one waits."""
    return rows.take(np.linspace(0, len(rows) - 1, min(len(rows), ROWS)).astype(np.int64))


def _tokenizers(
    spec: StudySpec, tokenizer: PreTrainedTokenizerBase, task: Task, say: Say
) -> Iterator[tuple[Vocab, PreTrainedTokenizerBase]]:
    """Each of a study's vocabularies of a tokenizer."""
    sizes = every(nodes(spec.space.student)["vocab"])
    # All of train decides which tokens stay; it isn't read where all do.
    train = task.train.take(np.arange(1) if sizes == ("full",) else np.arange(len(task.train)))
    encoded = encode(train, tokenizer, spec.task.max_length)
    with tempfile.TemporaryDirectory() as name:
        whole, root = Path(name) / "whole", Path(name)
        for vocab, folder in vocabularies(spec, tokenizer, whole, encoded, root, say):
            yield vocab, tokenizer if folder == whole else teacher.load_tokenizer(folder)


def _samples(spec: StudySpec, tokenizer: PreTrainedTokenizerBase, task: Task) -> Splits:
    length = spec.task.max_length
    train, search = (encode(some(split), tokenizer, length) for split in (task.train, task.search))
    return train, search
