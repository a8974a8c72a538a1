"""What a finished model is worth: every measure of the study, on the search split."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tune_distill import student
from tune_distill.measure.accuracy import accuracy
from tune_distill.measure.flops import counted, flops
from tune_distill.measure.robustness import robustness, select_rows
from tune_distill.measure.size import size_mb
from tune_distill.outcome import Interval, Outcome
from tune_distill.robustness import ATTACKS
from tune_distill.spec import RobustnessSpec, StudySpec
from tune_distill.tasks import Prepared

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tune_distill.measure.robustness import Robustness


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    spec: StudySpec,
    device: str = "cpu",
) -> Outcome:
    """Measures a model as the study asks.

    Args:
        model: a sequence classifier of the task.
        tokenizer: whose tokens it reads.
        task: its search split is what is read.
        spec: the attacks run only where an objective asks for them.
        device: where to run.
    """
    scored = accuracy(model, task.search, task.metric, device)
    intervals: dict[str, Interval] = {"accuracy": scored.interval} if scored.interval else {}
    worst = clean = None
    if spec.attacked:
        found = attacked(model, tokenizer, task, spec.robustness, device)
        worst, clean = found.robust_worst.value, found.clean.value
        intervals["robust_worst"] = found.robust_worst.interval
        intervals["clean_on_attacked"] = found.clean.interval
    arithmetic = model.config.model_type in student.FAMILIES  # always, for a student
    parameters = student.parameters(model.config) if arithmetic else model.num_parameters()
    lengths = task.search.lengths
    return Outcome(
        accuracy=scored.score,
        size_mb=size_mb(parameters),
        parameters=parameters,
        flops=flops(model.config, lengths) if arithmetic else counted(model, lengths),
        robust_worst=worst,
        clean_on_attacked=clean,
        intervals=intervals,
    )


def attacked(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    spec: RobustnessSpec,
    device: str = "cpu",
) -> Robustness:
    """Attacks a model on the study's fixed rows of the search split: the same for every model."""
    labels = np.asarray(task.search.labels, np.int64)
    rows = select_rows(labels, spec.rows)
    chosen = task.rows("search").take(rows)
    recipes = [dataclasses.replace(ATTACKS[name], budget=spec.budget) for name in spec.attacks]
    return robustness(
        model,
        tokenizer,
        chosen.texts,
        labels[rows],
        recipes,
        max_length=task.max_length,
        device=device,
    )
