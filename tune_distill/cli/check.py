"""`tune-distill check`: is this study what its author meant? Three sample students; no training."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from tune_distill.cli.options import Json, Overrides, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig

    from tune_distill.reading import Outline
    from tune_distill.spec import StudySpec
    from tune_distill.tasks import Task

SAMPLES = 3
TRIES = 1000


def check(
    study: str = typer.Argument(help="A study: YAML file or shipped name."),
    overrides: Overrides = [],  # noqa: B006 - typer's way of a repeatable option
    as_json: Json = False,
) -> None:
    """Validate a study and show three students of its space, with size, FLOPs and cost."""
    from tune_distill.cli.tables import sample_table
    from tune_distill.prepare import load_task
    from tune_distill.reading import outlines, some
    from tune_distill.spec.enqueue import setting
    from tune_distill.spec.load import find, load
    from tune_distill.tasks import encode
    from tune_distill.teacher import outline

    spec = load(find(study), overrides)
    task = load_task(spec, say)
    config, tokenizer = outline(spec.teacher, task, spec.task.max_length)
    lengths = encode(some(task.train), tokenizer, spec.task.max_length).lengths
    readings = outlines(spec, config, tokenizer, task, say)
    samples = list(_samples(spec, config, task, _teacher_flops(config, lengths), readings))
    summary = {
        "study": spec.name,
        "task": {
            "name": task.name,
            "metric": task.metric,
            "labels": list(task.label_names),
            "kind": task.kind,
            **{split: len(rows) for split, rows in task.splits().items()},
            "unlabelled": len(task.train) - len(task.train.labelled()),
        },
        "objectives": {o.name: o.goal for o in spec.axes},
        "trials": spec.search.trials,
        "enqueued": {name: setting(name, spec.search_space) for name in spec.search.enqueue},
        "samples": samples,
    }
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        sample_table(summary)


def _samples(
    spec: StudySpec,
    teacher: PreTrainedConfig,
    task: Task,
    taught: float,
    readings: Sequence[Outline],
) -> list[dict[str, Any]]:
    """Feasible draws, each with what it weighs and costs."""
    from tune_distill import measure, reading, student
    from tune_distill.errors import NoFeasibleStudent
    from tune_distill.prepare import refusals, task_shape
    from tune_distill.space import at_random
    from tune_distill.spec import TrialConfig
    from tune_distill.spec.bounds import passed

    suggest = at_random(random.Random(spec.search.seed))
    found: list[dict[str, Any]] = []
    reasons: list[str] = []
    for _ in range(TRIES):
        params = spec.search_space.draw(suggest)
        config = TrialConfig.from_params(params)
        own = reading.find(readings, config.student)
        reasons = refusals(config, teacher, own.config, task_shape(task), own.of_teacher)
        if reasons:
            continue
        shape = student.config(config.student, own.config, task.label_names, task.kind)
        known = measure.known(shape, own.lengths)
        if reasons := passed(spec.bounds, known):
            continue
        once = known["flops"]
        trained = task.train if config.method.needs_teacher else task.train.labelled()
        passes = config.robust.cost if config.robust else 1.0
        found.append(
            {
                "params": params,
                **known,
                # forward and backward cost three forward passes
                "training_flops": 3 * once * len(trained) * config.train.epochs * passes,
                "teacher_flops_ratio": taught / once,
            }
        )
        if len(found) == SAMPLES:
            return found
    if not found:
        raise NoFeasibleStudent(
            f"space: none of {TRIES} draws can be trained; the last because {'; '.join(reasons)}"
        )
    return found


def _teacher_flops(config: PreTrainedConfig, lengths: NDArray[np.int64]) -> float:
    from tune_distill.measure.flops import counted, flops
    from tune_distill.student import FAMILIES

    if config.model_type in FAMILIES:
        return flops(config, lengths)
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    return counted(model, lengths)
