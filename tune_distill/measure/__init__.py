"""What a finished model is worth: every measure of a study, on one split."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill import student
from tune_distill.errors import DataError
from tune_distill.measure.accuracy import Accuracy, accuracy, of_answers
from tune_distill.measure.attack_rows import write_rows
from tune_distill.measure.flops import counted, flops
from tune_distill.measure.known import known as known
from tune_distill.measure.loyalty import Loyalty, Reference, attacked_loyalty, loyalty
from tune_distill.measure.robustness import robustness, select_rows
from tune_distill.measure.size import size_mb
from tune_distill.outcome import Interval, Outcome
from tune_distill.robustness import static
from tune_distill.robustness.resources import Resources, attacks
from tune_distill.robustness.scorer import Scorer, evaluating
from tune_distill.spec import RobustnessSpec, StudySpec
from tune_distill.tasks import Prepared, encode
from tune_distill.teacher.floor import least_score
from tune_distill.train import predict

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
    split: str = "search",
    resources: Resources = Resources(),  # noqa: B008 - frozen
    rows: Path | None = None,
    logits: NDArray[np.float32] | None = None,
    teacher: Reference | None = None,
) -> Outcome:
    """Measures a model as the study asks.

    Args:
        model: a sequence classifier of the task.
        tokenizer: whose tokens it reads.
        task: in those tokens.
        spec: the attacks run only where an objective asks for them.
        device: where to run.
        split: what is read of the task; of a search nothing but `search`.
        resources: what the attacks read.
        rows: a file for what became of each attacked row (`attack_rows.py`).
        logits: the model's, of the split: (rows, classes); None computes them.
        teacher: whose answers the model's are compared with; None for a teacher itself.
    """
    data = task.splits()[split]
    if logits is None:
        logits = predict(model, data, device)
    scored = of_answers(logits, data, task.metric)
    taken = _Taken(intervals={"accuracy": scored.interval} if scored.interval else {})
    if teacher is not None and task.kind == "single_label":
        _compare(taken, loyalty(logits, teacher.answers(split)))
    if spec.attacked:
        found = attacked(model, tokenizer, task, spec.robustness, device, resources, split)
        if rows is not None:
            write_rows(found, attack_rows(task, spec.robustness, split), rows)
        asked = partial(answers, model, tokenizer, task.max_length, device)
        alike = attacked_loyalty(found, asked, teacher.asked) if teacher else None
        _attack(taken, found, alike)
    if resources.static is not None:
        right = static_rows(model, tokenizer, task, resources.static, device)
        taken.rates["static"] = right.score
        taken.intervals |= {"robust_static": right.interval} if right.interval else {}
    arithmetic = model.config.model_type in student.FAMILIES  # always, for a student
    parameters = student.parameters(model.config) if arithmetic else model.num_parameters()
    lengths = data.lengths
    return Outcome(
        accuracy=scored.score,
        size_mb=size_mb(parameters),
        parameters=parameters,
        flops=flops(model.config, lengths) if arithmetic else counted(model, lengths),
        rates=taken.rates,
        intervals=taken.intervals,
        reported=taken.reported,
        at_chance=scored.score < least_score(task.metric, data.labels),
        **taken.fields,
    )


@dataclass
class _Taken:
    """What was measured besides accuracy and size, as an outcome holds it."""

    fields: dict[str, float] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    reported: dict[str, float] = field(default_factory=dict)


def _compare(taken: _Taken, found: Loyalty) -> None:
    taken.fields["label_loyalty"] = found.labels.value
    taken.fields["probability_loyalty"] = found.probabilities
    taken.intervals["label_loyalty"] = found.labels.interval


def _attack(taken: _Taken, found: Robustness, alike: Loyalty | None) -> None:
    for name, one in found.attacks.items():
        taken.rates[name] = one.robust.value
        taken.intervals[f"robust_{name}"] = one.robust.interval
    for name, rate in {
        "robust_worst": found.robust_worst,
        "clean_on_attacked": found.clean,
    }.items():
        taken.fields[name] = rate.value
        taken.intervals[name] = rate.interval
    if alike is not None:
        taken.reported["label_loyalty_attacked"] = alike.labels.value
        taken.reported["probability_loyalty_attacked"] = alike.probabilities


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    device: str,
    columns: tuple[list[str], ...],
) -> NDArray[np.float32]:
    """A model's logits of texts, as an attack sees them: float32, (texts, classes)."""
    scorer = Scorer(model, tokenizer, max_length=max_length, device=device)
    with evaluating(model):
        return scorer.logits(columns)


def attacked(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    spec: RobustnessSpec,
    device: str = "cpu",
    resources: Resources = Resources(),  # noqa: B008 - frozen
    split: str = "search",
) -> Robustness:
    """Attacks a model on the study's fixed rows of a split: the same for every model."""
    rows = attack_rows(task, spec, split)
    chosen = task.rows(split).take(rows)
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


def attack_rows(task: Prepared, spec: RobustnessSpec, split: str = "search") -> NDArray[np.int64]:
    """The rows of a split that are attacked."""
    if isinstance(spec.rows, str):
        raise DataError(f"robustness.rows: {spec.rows}: rows of a file are scored, not attacked")
    return select_rows(np.asarray(task.splits()[split].labels, np.int64), spec.rows)
