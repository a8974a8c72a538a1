"""What is kept of a model's one look at the held-out rows.

    heldout.json                      its measures, and every metric of the task by split
    heldout.safetensors               logits: (rows, classes), float32, rows in the split's order
    heldout-attacks.parquet           what became of each attacked row, where the study attacks

    onnx/ int8/                       the same of a student's further forms

The row by row outcomes are what every paired comparison needs, so nothing is read twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.files import write_atomically
from tune_distill.forms import NAMES
from tune_distill.measure import measure
from tune_distill.measure.attack_rows import read_rows
from tune_distill.measure.loyalty import Reference
from tune_distill.outcome import Outcome
from tune_distill.robustness.resources import Resources
from tune_distill.spec import StudySpec
from tune_distill.tasks import Prepared, scores
from tune_distill.train import predict

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tune_distill.forms import Served

REPORT, LOGITS, ATTACKS = "heldout.json", "heldout.safetensors", "heldout-attacks.parquet"
EVERY = 2**31  # rows: all that there are
PLAIN = "pytorch"  # a student as it was trained; the other forms are made from it


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What a model does on the held-out rows."""

    outcome: Outcome
    metrics: Mapping[str, Mapping[str, float]]  # by split, then by metric
    logits: NDArray[np.float32]  # (rows, classes)
    robust: NDArray[np.bool_] | None  # (attacked rows,) that no attack of the study flips


def attacked_in_full(spec: StudySpec, rows: int | None = None) -> StudySpec:
    """The study with its attacks as they are run for good: without a budget, on all rows or some.

    Args:
        spec: the study.
        rows: how many, stratified; None is all.
    """
    full = spec.robustness.model_copy(update={"rows": rows or EVERY, "budget": None})
    return spec.model_copy(update={"robustness": full})


def look(
    model: PreTrainedModel | Served,
    tokenizer: PreTrainedTokenizerBase,
    task: Prepared,
    spec: StudySpec,
    folder: Path,
    device: str,
    resources: Resources,
    reference: Reference | None = None,
    size_mb: float | None = None,
) -> None:
    """Reads the held-out rows with a model, and files what it does.

    Args:
        model: of the task.
        tokenizer: whose tokens it reads.
        task: in those tokens.
        spec: of the study; its attacks as `attacked_in_full` has them.
        folder: where the files go.
        device: where to run.
        resources: of the attacks.
        reference: the teacher that a student is compared with; None for the teacher itself.
        size_mb: of a form's file; None where the model's own size says it.
    """
    from safetensors.numpy import save

    outcome = measure(
        model,  # type: ignore[arg-type]  # `Served` stands where a PyTorch model does
        tokenizer,
        task,
        spec,
        device,
        split="heldout",
        resources=resources,
        rows=folder / ATTACKS,
        teacher=reference,
    )
    if size_mb is not None:
        outcome = replace(outcome, size_mb=size_mb)
    answers = outputs(model, task, device)
    logits = np.ascontiguousarray(answers["heldout"], np.float32)
    write_atomically(folder / LOGITS, save({"logits": logits}))
    metrics = {name: scores(task, given, name) for name, given in answers.items()}
    report = {
        "outcome": outcome.to_json(),
        "metrics": metrics,
        "attacked": spec.robustness.rows
        if spec.attacked
        else None,  # as many as there are, if less
    }
    write_atomically(folder / REPORT, json.dumps(report, indent=1))  # last: with it all is there


def outputs(
    model: PreTrainedModel | Served, task: Prepared, device: str = "cpu"
) -> dict[str, NDArray[np.float32]]:
    """A model's outputs on each held-out split of a task: (rows, classes) by its name."""
    splits = {"heldout": task.heldout, **task.more}
    return {
        name: predict(model, data, device)  # type: ignore[arg-type]  # as in `look`
        for name, data in splits.items()
    }


def metrics(folder: Path) -> dict[str, float]:
    """What the looks in a trial's folder found: `heldout.accuracy`, `int8.heldout.accuracy` ..."""
    found: dict[str, float] = {}
    for form in NAMES:
        if seen(at := place(folder, form)):
            of = "heldout." if form == PLAIN else f"{form}.heldout."
            measures = opened(at).outcome.measures()
            found |= {f"{of}{name}": value for name, value in measures.items()}
    return found


def place(folder: Path, form: str) -> Path:
    """Where the look of a trial's student in one of its forms is, in the folder of the trial."""
    return folder if form == PLAIN else folder / form


def seen(folder: Path, asked: StudySpec | None = None) -> bool:
    """Whether a folder holds a whole look; of as many attacked rows as `asked` has, if it attacks.

    Args:
        folder: of the look.
        asked: a study as `attacked_in_full` has it; None takes whatever was attacked.
    """
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    if asked is None or not asked.attacked:
        return True
    return bool(report.get("attacked") == asked.robustness.rows)


def opened(folder: Path) -> HeldOut:
    """The look that a folder holds.

    Raises:
        DataError: there is none, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        logits = load_file(folder / LOGITS)["logits"]
        outcome = Outcome.from_json(report["outcome"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{folder}: no readable look at the held-out rows: {error}") from error
    robust = None
    if outcome.robust_worst is not None:
        robust = np.logical_and.reduce(list(read_rows(folder / ATTACKS).values()))
    return HeldOut(outcome, report["metrics"], logits, robust)
