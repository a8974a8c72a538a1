"""Models from outside as folders of the cache: the search outlives changes of the original."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tune_distill.errors import TeacherError
from tune_distill.tasks import Task, head, tokenizer_digest
from tune_distill.teacher import suit
from tune_distill.teacher.loading import digest, load, load_base, load_config, load_tokenizer
from tune_distill.teacher.locate import locate
from tune_distill.teacher.store import Say, alone, intact, keep

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

CHECKPOINT = "space.student.checkpoint"  # the place in a study that names one


def adopt(name: str, task: Task, max_length: int, root: Path, say: Say) -> Path:
    """A fine-tuned classifier: the teacher that a study names, as a folder under `root`."""
    source = locate(name, "teacher.model")
    tokenizer, model = load_tokenizer(source, name), load(source, name)
    refuse("teacher.model", name, model, tokenizer, task, max_length)
    if suit.unlike(suit.own_names(model), task.label_names):
        say(
            f"teacher {name}: its classes {', '.join(suit.own_names(model))} are taken, by number, "
            f"for the task's {', '.join(task.label_names)}"
        )
    return _kept(name, model, tokenizer, root, say)


def adopt_checkpoint(
    name: str, teacher: PreTrainedConfig, task: Task, max_length: int, cache: Path, say: Say
) -> Path:
    """A pre-trained model for students to start from, as a folder of the cache.

    It is a classifier of the teacher's classes there; where it has no head for them, that is new.

    Args:
        name: a hub id or a folder, as the study says it.
        teacher: the config of the teacher, whose classes it gets.
        task: what the students learn.
        max_length: the longest input, in tokens.
        cache: the folder of all caches; checkpoints lie in its `checkpoints`.
        say: hears of progress, a line at a time.

    Raises:
        TeacherError: it can't be had, or doesn't suit the task.
    """
    source = locate(name, CHECKPOINT)
    tokenizer = load_tokenizer(source, name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # of a new head
        model = load_base(source, name, **_classes(teacher, task))
    refuse(CHECKPOINT, name, model, tokenizer, task, max_length)
    return _kept(name, model, tokenizer, cache / "checkpoints", say)


def outline_checkpoint(
    name: str, teacher: PreTrainedConfig, task: Task
) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """The architecture and the tokenizer of a checkpoint, as it will be adopted.

    Args:
        name: a hub id or a folder.
        teacher: the config of the teacher, whose classes it gets.
        task: what the students learn.

    Raises:
        TeacherError: it can't be had.
    """
    folder = locate(name, CHECKPOINT)
    return load_config(folder, name, **_classes(teacher, task)), load_tokenizer(folder, name)


def refuse(
    key: str,
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    max_length: int,
) -> None:
    """Raises what speaks against a model from outside; `key` is the place that names it."""
    reasons = suit.misfits(model, tokenizer, task, max_length)
    if reasons:
        raise TeacherError("\n".join(f"{key}: {name}: {reason}" for reason in reasons))


def slug(name: str) -> str:
    """A name as the beginning of a folder's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name).strip(".-")[:40] or "teacher"


def _kept(
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    root: Path,
    say: Say,
) -> Path:
    """The folder that holds a copy of a model from outside."""
    content = hashlib.sha256(f"{digest(model)} {tokenizer_digest(tokenizer)}".encode()).hexdigest()
    folder = root / f"{slug(name)}-{content[:16]}"
    with alone(folder, say):
        if not intact(folder, say):
            keep(model, tokenizer, folder, {"model": name})
    return folder


def _classes(teacher: PreTrainedConfig, task: Task) -> dict[str, Any]:
    """What a config says of the task's classes, in the teacher's names."""
    named: dict[Any, str] = dict(teacher.id2label or {})
    return head([named[n] for n in range(len(task.label_names))], task.kind)
