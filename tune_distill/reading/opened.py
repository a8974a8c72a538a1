"""What a worker opens of a reading; kept for its next trial."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tune_distill import tasks, teacher
from tune_distill.cache import Alignment
from tune_distill.reading.readings import Reading
from tune_distill.tasks.pruning import numbers_in, same_tokens
from tune_distill.teacher.embeddings import keep_tokens, renumber
from tune_distill.teacher.loading import load_config

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@lru_cache(maxsize=2)
def model(folder: Path) -> PreTrainedModel:
    """A teacher or a checkpoint."""
    return teacher.load(folder)


def source(reading: Reading) -> PreTrainedModel:
    """The model that a student starts from, with the reading's tokens alone."""
    return model(reading.source) if reading.tokenizer == reading.source else _pruned(reading)


@lru_cache(maxsize=8)
def config(reading: Reading) -> PreTrainedConfig:
    """The config of `source(reading)`, told without its weights."""
    found = load_config(reading.source, str(reading.source))
    if reading.tokenizer != reading.source:
        own = tokenizer(reading)
        kept = numbers_in(own, teacher.load_tokenizer(reading.source))
        renumber(found, kept, int(own.pad_token_id))
    return found


@lru_cache(maxsize=1)
def _pruned(reading: Reading) -> PreTrainedModel:
    found, own = teacher.load(reading.source), tokenizer(reading)
    kept = numbers_in(own, teacher.load_tokenizer(reading.source))
    keep_tokens(found, kept, int(own.pad_token_id))
    return found


@lru_cache(maxsize=8)
def tokenizer(reading: Reading) -> PreTrainedTokenizerBase:
    """The tokenizer that makes the reading's tokens."""
    return teacher.load_tokenizer(reading.tokenizer)


@lru_cache(maxsize=8)
def alignment(reading: Reading, folder: Path, task: Path) -> Alignment | None:
    """How the reading's tokens of train stand to the teacher's; None where they are the same.

    Args:
        reading: the student's.
        folder: of the teacher.
        task: the rows, in the teacher's tokens.
    """
    if reading.task == task:
        return None
    theirs, own = tasks.open_prepared(task).train, tasks.open_prepared(reading.task).train
    if not reading.of_teacher:
        return Alignment(theirs, np.zeros(len(theirs), np.bool_))
    numbers = numbers_in(tokenizer(reading), teacher.load_tokenizer(folder))
    return Alignment(theirs, same_tokens(own, theirs, numbers))
