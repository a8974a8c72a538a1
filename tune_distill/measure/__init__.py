"""What a finished model is worth: every measure of the study, on the search split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill import student
from tune_distill.errors import DataError
from tune_distill.measure.accuracy import Accuracy, accuracy
from tune_distill.measure.attack_rows import write_rows
from tune_distill.measure.flops import counted, flops
from tune_distill.measure.known import known as known
from tune_distill.measure.robustness import robustness, select_rows
from tune_distill.measure.size import size_mb
from tune_distill.outcome import Interval, Outcome
from tune_distill.robustness import static
from tune_distill.robustness.resources import Resources, attacks
from tune_distill.spec import RobustnessSpec, StudySpec
from tune_distill.tasks import Prepared, encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tune_distill.measure.robustness import Robustness


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    spec: StudySpec,
    device: str = "cpu",
    *,
    resources: Resources = Resources(),  # noqa: B008 - frozen
    rows: Path | None = None,
) -> Outcome:
    """Measures a model as the study asks.

    Args:
        model: a sequence classifier of the task.
        tokenizer: whose tokens it reads.
        task: its search split is what is read.
        spec: the attacks run only where an objective asks for them.
        device: where to run.
        resources: what the attacks read.
        rows: a file for what became of each attacked row (`attack_rows.py`).
    """
    scored = accuracy(model, task.search, task.metric, device)
    intervals: dict[str, Interval] = {"accuracy": scored.interval} if scored.interval else {}
    worst = clean = None
    rates: dict[str, float] = {}
    if spec.attacked:
        found = attacked(model, tokenizer, task, spec.robustness, device, resources)
        if rows is not None:
            write_rows(found, attack_rows(task, spec.robustness), rows)
        for name, one in found.attacks.items():
            rates[name] = one.robust.value
            intervals[f"robust_{name}"] = one.robust.interval
        worst, clean = found.robust_worst.value, found.clean.value
        intervals["robust_worst"] = found.robust_worst.interval
        intervals["clean_on_attacked"] = found.clean.interval
    if resources.static is not None:
        right = static_rows(model, tokenizer, task, resources.static, device)
        rates["static"] = right.score
        intervals |= {"robust_static": right.interval} if right.interval else {}
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
        rates=rates,
        intervals=intervals,
    )


def attacked(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    spec: RobustnessSpec,
    device: str = "cpu",
    resources: Resources = Resources(),  # noqa: B008 - frozen
) -> Robustness:
    """Attacks a model on the study's fixed rows of the search split: the same for every model."""
    rows = attack_rows(task, spec)
    chosen = task.rows("search").take(rows)
    return robustness(
        model,
        tokenizer,
        chosen.texts,
        np.asarray(chosen.labels, np.int64),
        attacks(spec),
        max_length=task.max_length,
        device=device,
        resources=resources.open(device),
    )


def static_rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    rows: Path,
    device: str = "cpu",
) -> Accuracy:
    """How many of the rows that are adversarial already a model gets right."""
    encoded = encode(static.opened(rows), tokenizer, task.max_length)
    return accuracy(model, encoded, "accuracy", device)


def attack_rows(task: Prepared, spec: RobustnessSpec) -> NDArray[np.int64]:
    """The rows of the search split that are attacked."""
    if isinstance(spec.rows, str):
        raise DataError(f"robustness.rows: {spec.rows}: rows of a file are scored, not attacked")
    return select_rows(np.asarray(task.search.labels, np.int64), spec.rows)
