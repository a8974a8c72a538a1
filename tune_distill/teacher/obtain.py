"""The teacher of a study as a folder of the cache: adopted, fine-tuned or trained from scratch."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tune_distill.errors import TeacherError
from tune_distill.spec import FitSpec, TeacherSpec, TrainSpec
from tune_distill.tasks import Task, tokenizer_digest
from tune_distill.teacher import builtin, suit
from tune_distill.teacher.fitting import Fit, fit
from tune_distill.teacher.loading import digest, load, load_base, load_config, load_tokenizer
from tune_distill.teacher.locate import locate
from tune_distill.teacher.store import Say, alone, intact, keep

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

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
        return _adopt(spec.model, task, max_length, root, say)
    if spec.fit is not None:
        plan = _fine_tuning(spec.fit, task, max_length)
    else:
        plan = builtin.from_scratch(builtin.SMALL, task, max_length)
    folder = root / f"{_slug(plan.name)}-{_key(plan, task)}"
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
        config = load_config(folder, base, **builtin.labels(task.label_names))
        return config, load_tokenizer(folder, base)
    recipe = builtin.SMALL
    tokenizer = builtin.tokenizer_of(recipe, task, max_length)
    return builtin.shape(recipe, len(tokenizer), task.label_names, max_length), tokenizer


def _adopt(name: str, task: Task, max_length: int, root: Path, say: Say) -> Path:
    """A fine-tuned classifier from outside, copied: the search outlives changes of the original."""
    source = locate(name, "teacher.model")
    tokenizer, model = load_tokenizer(source, name), load(source, name)
    _refuse("teacher.model", name, model, tokenizer, task, max_length)
    if suit.unlike(suit.own_names(model), task.label_names):
        say(
            f"teacher {name}: its classes {', '.join(suit.own_names(model))} are taken, by number, "
            f"for the task's {', '.join(task.label_names)}"
        )
    content = hashlib.sha256(f"{digest(model)} {tokenizer_digest(tokenizer)}".encode()).hexdigest()
    folder = root / f"{_slug(name)}-{content[:16]}"
    with alone(folder, say):
        if not intact(folder, say):
            keep(model, tokenizer, folder, {"model": name})
    return folder


def _fine_tuning(spec: FitSpec, task: Task, max_length: int) -> Fit:
    source = locate(spec.base, "teacher.fit.base")
    tokenizer = load_tokenizer(source, spec.base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)  # of a new head
        model = load_base(source, spec.base, **builtin.labels(task.label_names))
    _refuse("teacher.fit.base", spec.base, model, tokenizer, task, max_length)
    values = spec.model_dump(exclude={"base", "seed"})
    identity = {"start": digest(model), "tokenizer": tokenizer_digest(tokenizer)}
    return Fit(
        lambda: (model, tokenizer), TrainSpec(**values), spec.seed, max_length, spec.base, identity
    )


def _refuse(
    key: str,
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    max_length: int,
) -> None:
    reasons = suit.misfits(model, tokenizer, task, max_length)
    if reasons:
        raise TeacherError("\n".join(f"{key}: {name}: {reason}" for reason in reasons))


def _key(plan: Fit, task: Task) -> str:
    identity: dict[str, Any] = {
        "format": FORMAT,
        "start": plan.identity,
        "train": plan.config.model_dump(),
        "seed": plan.seed,
        "task": task.digest,
        "max_length": plan.max_length,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name).strip(".-")[:40] or "teacher"
