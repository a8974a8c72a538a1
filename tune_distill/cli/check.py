"""`tune-distill check`: is this study what its author meant? Three sample students; no training."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
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
    taught = _teacher_flops(config, lengths)
    samples = list(_samples(spec, config, task, taught, readings))
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
        "beforehand": list(_beforehand(spec, task, taught)),
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
    from tune_distill.draws import refusals
    from tune_distill.errors import NoFeasibleStudent
    from tune_distill.inputs import task_shape
    from tune_distill.space import at_random
    from tune_distill.spec import TrialConfig
    from tune_distill.spec.bounds import passed
    from tune_distill.train.course import updates_of
    from tune_distill.train.defence import cost_of, shown

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
        rows = task.train if config.unlabelled else task.train.labelled()
        trained = shown(config.hardening, rows)
        cost = cost_of(config.hardening, len(trained) / len(rows))
        counted = config.train.budget == "compute"  # then it has fewer updates instead
        found.append(
            {
                "params": params,
                **known,
                "updates": updates_of(config.train, len(trained), cost),
                "update_cost": cost,
                # forward and backward cost three forward passes
                "training_flops": 3
                * once
                * len(rows)
                * config.train.epochs
                * (1.0 if counted else cost),
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


def _beforehand(spec: StudySpec, task: Task, once: float) -> Iterator[dict[str, Any]]:
    """What defences need made before the first trial, and what that costs at most.

    `once` counts the FLOPs of the teacher's forward pass over a row.
    """
    from tune_distill.spec import beforehand
    from tune_distill.teacher.hardened import training
    from tune_distill.train.defence import shown

    labelled = len(task.train.labelled())
    for augment in beforehand.augments(spec.space.robust):
        rows = min(augment.rows, labelled)
        what = f"{rows:,} rows of train attacked by {augment.recipe}, against the teacher"
        # the order of the words: forward, and back to the embeddings
        yield {"what": what, "flops": once * rows * (augment.queries + 2)}
    for defence in beforehand.teachers(spec.space.robust):
        rows = len(shown(defence, task.train if defence.unlabelled else task.train.labelled()))
        epochs = training(spec.teacher).epochs
        what = f"a teacher hardened by {defence.shown}, {epochs} epochs"
        yield {"what": what, "flops": 3 * once * rows * epochs * defence.cost}


def _teacher_flops(config: PreTrainedConfig, lengths: NDArray[np.int64]) -> float:
    from tune_distill.measure.flops import counted, flops
    from tune_distill.student import FAMILIES

    if config.model_type in FAMILIES:
        return flops(config, lengths)
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(config)  # type: ignore[no-untyped-call]
    return counted(model, lengths)
