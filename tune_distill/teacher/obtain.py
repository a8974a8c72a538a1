"""The teacher of a study as a folder of the cache: adopted, fine-tuned or trained from scratch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tune_distill import families
from tune_distill.errors import TeacherError
from tune_distill.methods import TaskShape
from tune_distill.methods.finetune import FineTune
from tune_distill.spec import FitSpec, TeacherSpec, TrainSpec
from tune_distill.tasks import Task, head, tokenizer_digest
from tune_distill.teacher import builtin
from tune_distill.teacher.adopt import adopt, refuse, slug
from tune_distill.teacher.fitting import Fit, fit
from tune_distill.teacher.loading import digest, load_base, load_config, load_tokenizer
from tune_distill.teacher.locate import locate
from tune_distill.teacher.store import Say

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

FORMAT = 1


def resolve(
    spec: TeacherSpec, task: Task, max_length: int, cache: Path, say: Say, *, device: str = "cpu"
) -> Path:
    """The folder of a study's teacher, made if it is not there yet.

    Args:
        spec: what the study says of its teacher.
        task: what it teaches.
        max_length: the longest input, in tokens.
        cache: the folder of all caches; teachers lie in its `teachers`.
        say: hears of progress, a line at a time.
        device: where to train, if it is trained.

    Raises:
        TeacherError: it can't be had, or doesn't suit the task.
    """
    root = cache / "teachers"
    if spec.model is not None:
        return adopt(spec.model, task, max_length, root, say)
    if spec.fit is None or spec.fit.ganbert is None:
        task = task.labelled()  # a teacher stays the same whatever its students see besides
    if spec.fit is not None:
        plan = _fine_tuning(spec.fit, task, max_length)
    else:
        plan = builtin.from_scratch(builtin.SMALL, task, max_length)
    folder = root / f"{slug(plan.name)}-{key(plan, task)}"
    fit(plan, task, folder, say, device)
    return folder


def outline(
    spec: TeacherSpec, task: Task, max_length: int
) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """The architecture and the tokenizer that a study's teacher has, or will have.

    Raises:
        TeacherError: what it starts from can't be had.
    """
    if spec.model is not None:
        folder = locate(spec.model, "teacher.model")
        return load_config(folder, spec.model), load_tokenizer(folder, spec.model)
    if spec.fit is not None:
        folder, base = locate(spec.fit.base, "teacher.fit.base"), spec.fit.base
        config = load_config(folder, base, **head(task.label_names, task.kind))
        _refuse_adversary(spec.fit, task, config)
        return config, load_tokenizer(folder, base)
    recipe = builtin.SMALL
    tokenizer = builtin.tokenizer_of(recipe, task.labelled(), max_length)
    entries = head(task.label_names, task.kind)
    return builtin.shape(recipe, len(tokenizer), entries, max_length), tokenizer


def _fine_tuning(spec: FitSpec, task: Task, max_length: int) -> Fit:
    source = locate(spec.base, "teacher.fit.base")
    tokenizer = load_tokenizer(source, spec.base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)  # of a new head
        model = load_base(source, spec.base, **head(task.label_names, task.kind))
    refuse("teacher.fit.base", spec.base, model, tokenizer, task, max_length)
    _refuse_adversary(spec, task, model.config)
    values = spec.model_dump(exclude={"base", "seed", "ganbert"})
    identity = {"start": digest(model), "tokenizer": tokenizer_digest(tokenizer)}
    adversary = spec.adversary
    if adversary is not None:
        identity["ganbert"] = repr(adversary)
    return Fit(
        lambda: (model, tokenizer),
        TrainSpec(**values),
        spec.seed,
        max_length,
        spec.base,
        identity,
        adversary,
    )


def _refuse_adversary(spec: FitSpec, task: Task, config: PreTrainedConfig) -> None:
    """Raises what speaks against GAN-BERT on a task, or on a model of this config."""
    if spec.adversary is None:
        return
    shape = TaskShape(max(1, len(task.label_names)), task.kind)
    reasons = [*spec.adversary.check(FineTune(), shape), families.unknown(config)]
    if any(reasons):
        raise TeacherError("\n".join(f"teacher.fit.ganbert: {one}" for one in reasons if one))


def key(plan: Fit, task: Task) -> str:
    """What tells the teacher that a plan makes of a task from all others."""
    identity: dict[str, Any] = {
        "format": FORMAT,
        "start": plan.identity,
        "train": plan.config.model_dump(),
        "seed": plan.seed,
        "task": task.digest,
        "max_length": plan.max_length,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
