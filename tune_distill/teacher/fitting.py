"""Fine-tuning a teacher on its task, by the same loop as students, and resumable like them.

The checkpoint lies beside the teacher's final folder, and goes when the teacher is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_distill.hardening import Hardening
from tune_distill.methods.finetune import FineTune
from tune_distill.spec import TrainSpec
from tune_distill.tasks import Task, encode, score
from tune_distill.teacher.store import Say, alone, intact, keep
from tune_distill.train import Texts, predict, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Made = tuple["PreTrainedModel", "PreTrainedTokenizerBase"]


@dataclass(frozen=True)
class Fit:
    """One fine-tuning: of what, how, and where to."""

    make: Callable[[], Made]  # the model as it starts, and its tokenizer
    config: TrainSpec
    seed: int
    max_length: int
    name: str  # what the user calls the start
    identity: Mapping[str, Any]  # all that the result depends on, besides the above and the task
    hardening: Hardening | None = None
    texts: Texts | None = None  # of the task's train rows, for a defence that changes them


def fit(plan: Fit, task: Task, folder: Path, say: Say, device: str) -> None:
    """Fine-tunes a teacher into `folder`, or leaves the one that is whole there."""
    with alone(folder, say):
        if intact(folder, say):
            return
        checkpoint = folder.with_name(f"{folder.name}.checkpoint")
        if checkpoint.is_dir():
            say(f"the teacher's training continues from {checkpoint}")
        model, tokenizer = plan.make()
        _train(model, tokenizer, plan, task, checkpoint, say, device)
        keep(model.to("cpu").eval(), tokenizer, folder, {"fit": plan.name, **plan.identity})  # type: ignore[arg-type]
        shutil.rmtree(checkpoint, ignore_errors=True)


def _train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    plan: Fit,
    task: Task,
    checkpoint: Path,
    say: Say,
    device: str,
) -> None:
    data = encode(task.train, tokenizer, plan.max_length)
    search = encode(task.search, tokenizer, plan.max_length)
    run = train(
        model,
        FineTune(),
        data,
        plan.config,
        seed=plan.seed,
        hardening=plan.hardening,
        texts=plan.texts,
        device=device,
        checkpoint=checkpoint,
    )
    for epoch in run:
        found = score(task.metric, predict(model, search, device), search.labels)
        say(
            f"teacher: epoch {epoch.epoch} of {plan.config.epochs}:"
            f" loss {epoch.losses['total']:.4f}, {task.metric} {found:.4f} on the search split"
        )
