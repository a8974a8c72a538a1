"""What a search does once, before its first trial: the task, the teacher, the teacher's signals."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from tune_distill import cache, measure, student, tasks, teacher
from tune_distill.folder import write_atomically
from tune_distill.methods import METHODS, ModelShape, TaskShape
from tune_distill.outcome import Outcome
from tune_distill.signals import Needs
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig
from tune_distill.spec.space import every, nodes
from tune_distill.tasks import DataWarning, Prepared, Task
from tune_distill.teacher import Check
from tune_distill.teacher.store import Say

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Inputs:
    """What all trials of a study share: folders that each opens by itself, and a few numbers."""

    task: Path  # tokenised
    teacher: Path  # Hugging Face files
    signals: Path | None  # the teacher's; None where no method has a use for them
    outcome: Outcome  # of the teacher, on the search split
    digests: tuple[tuple[str, str], ...]  # of the data and the teacher, by name


@dataclass(frozen=True)
class CheckedTeacher:
    """A study's teacher that has learned the task, and the task in its tokens."""

    folder: Path
    task: Prepared
    check: Check


def prepare(spec: StudySpec, root: Path, say: Say) -> Inputs:
    """Makes what a study's trials need, or finds it in the cache.

    Args:
        spec: the study.
        root: the folder of all caches.
        say: hears what is done, a line at a time.

    Raises:
        DataError: the task's rows don't fit it.
        TeacherError: the teacher doesn't fit the task, or hasn't learned it.
    """
    device = _device()
    found = prepare_teacher(spec, root, say)
    model = teacher.load(found.folder)
    needs = needed(spec, student.shape(model.config))
    signals = None
    if needs:
        limit = spec.teacher.cache_gb
        train, files = found.task.train, root / "signals"
        made = cache.ensure(model, train, needs, files, limit_gb=limit, say=say, device=device)
        signals = made.folder
    return Inputs(
        task=found.task.folder,
        teacher=found.folder,
        signals=signals,
        outcome=_outcome(spec, model, found, say, device),
        digests=(("data", found.task.digest), ("teacher", teacher.digest(model))),
    )


def prepare_teacher(spec: StudySpec, root: Path, say: Say) -> CheckedTeacher:
    """The first half of `prepare`: the task's rows, and a teacher that has learned them."""
    device = _device()
    task = load_task(spec, say)
    folder = teacher.resolve(spec.teacher, task, spec.task.max_length, root, say, device=device)
    prepared = tasks.prepare(spec.task, teacher.load_tokenizer(folder), root / "tasks", task)
    checked = teacher.check(folder, prepared, spec.teacher.floor, device=device)
    say(f"teacher: {checked.metric} {checked.score:.4f} on {checked.rows:,} search rows")
    return CheckedTeacher(folder, prepared, checked)


def infeasible(spec: StudySpec, inputs: Inputs, params: Params) -> list[str]:
    """The reasons why a draw can't be trained; empty for a good one. Builds nothing."""
    try:
        config = TrialConfig.from_params(params)
    except ValidationError as error:
        return [e["msg"].removeprefix("Value error, ") for e in error.errors()]
    shape = task_shape(_opened(inputs.task))
    return student.infeasible(config.student, teacher_config(inputs.teacher), config.method, shape)


def task_shape(task: Prepared | Task) -> TaskShape:
    """What a method may ask of a task."""
    return TaskShape(max(1, len(task.label_names)), regression=not task.label_names)


@lru_cache(maxsize=8)
def teacher_config(folder: Path) -> PreTrainedConfig:
    """The architecture of a teacher in its folder."""
    from transformers.models.auto.configuration_auto import AutoConfig

    config: PreTrainedConfig = AutoConfig.from_pretrained(folder)
    return config


@lru_cache(maxsize=8)
def _opened(folder: Path) -> Prepared:
    return tasks.open_prepared(folder)


def load_task(spec: StudySpec, say: Say) -> Task:
    """The rows of a study's task; warnings and notes are said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        task = tasks.load(spec.task)
    for warning in caught:
        say(f"warning: {warning.message}")
    for note in task.notes:
        say(note)
    return task


def needed(spec: StudySpec, shape: ModelShape) -> Needs:
    """All signals that the methods of a study ask of its teacher, whatever is drawn."""
    needs = Needs()
    for name in spec.search_space.options("method"):
        for layers in every(nodes(spec.space.student)["layers"]):
            drawn = ModelShape(int(layers), shape.hidden_size, shape.heads)
            needs |= METHODS[name]().needs(shape, drawn)[0]
    return needs


def _outcome(
    spec: StudySpec, model: PreTrainedModel, found: CheckedTeacher, say: Say, device: str
) -> Outcome:
    """The teacher's own measures, remembered beside it."""
    attacks = spec.robustness.model_dump() if spec.attacked else None
    asked = json.dumps([found.task.key, attacks], sort_keys=True)
    name = hashlib.sha256(asked.encode()).hexdigest()[:16]
    memory = found.folder / "outcomes" / f"{name}.json"
    try:
        return Outcome.from_json(json.loads(memory.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        say("measuring the teacher, to compare its students with")
    tokenizer = teacher.load_tokenizer(found.folder)
    outcome = measure.measure(model, tokenizer, found.task, spec, device)
    memory.parent.mkdir(exist_ok=True)
    write_atomically(memory, json.dumps(outcome.to_json()))
    return outcome


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
