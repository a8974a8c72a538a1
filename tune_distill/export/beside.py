"""int8 beside the student that it was made from: under the same attacks, on the same rows.

One text at a time, words in the order of PyTorch's gradient (`forms/served.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.export.figures import Against
from tune_distill.measure.accuracy import Accuracy
from tune_distill.measure.attack_rows import read_rows
from tune_distill.measure.robustness import robustness, select_rows
from tune_distill.robustness import resources
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.statistics import mcnemar

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tune_distill.forms import Served
    from tune_distill.measure.robustness import Robustness
    from tune_distill.robustness.resources import Resources
    from tune_distill.spec import StudySpec
    from tune_distill.tasks import Task


def attacked(
    form: Served, tokenizer: PreTrainedTokenizerBase, task: Task, spec: StudySpec, read: Resources
) -> Robustness:
    """The study's attacks on a form, on the rows of its trials.

    Args:
        form: the model.
        tokenizer: the student's.
        task: whose search split is attacked.
        spec: the study; it attacks.
        read: what the attacks read.
    """
    labels = np.asarray(task.search.labels, np.int64)
    rows = task.search.take(select_rows(labels, int(spec.robustness.rows)))
    return robustness(
        form,
        tokenizer,
        rows.texts,
        np.asarray(rows.labels, np.int64),
        resources.attacks(spec.robustness),
        max_length=spec.task.max_length,
        resources=read.open(),
    )


def against(
    own: NDArray[Any],
    theirs: NDArray[Any],
    labels: NDArray[Any],
    found: Robustness | None,
    trial: Path,
) -> Against:
    """One form against another.

    Args:
        own: (rows,) its classes of the held-out rows.
        theirs: (rows,) the other's.
        labels: (rows,) the right ones.
        found: what attacks did to it; None where there were none.
        trial: what they did to the other (`measure/attack_rows.py`).
    """
    return Against(
        len(labels),
        int((own != theirs).sum()),
        mcnemar(own == labels, theirs == labels),
        _paired(found, trial) if found else None,
    )


def rates(found: Robustness) -> dict[str, Accuracy]:
    """What attacks left, by the names of `Outcome.measures`."""
    taken = {"robust_worst": found.robust_worst, "clean_on_attacked": found.clean}
    taken |= {f"robust_{name}": one.robust for name, one in found.attacks.items()}
    return {name: Accuracy(rate.value, rate.interval) for name, rate in taken.items()}


def _paired(found: Robustness, path: Path) -> float | None:
    """McNemar's p of int8 and its trial's student; None where that met other attacks or no file."""
    try:
        theirs = read_rows(path)
    except DataError:  # of a study that an earlier version ran
        return None
    own = {
        one.recipe.shown: one.result.outcomes == RowOutcome.ROBUST for one in found.attacks.values()
    }
    if own.keys() != theirs.keys() or any(len(theirs[n]) != len(own[n]) for n in own):
        return None
    both = (np.logical_and.reduce(list(some.values())) for some in (own, theirs))
    return mcnemar(*both)
