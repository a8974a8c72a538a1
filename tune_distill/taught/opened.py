"""What a worker opens of a teacher, and of the rows that were found against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tune_distill import measure, reading, tasks, teacher
from tune_distill.cache.files import open_values
from tune_distill.hardening import Augment, Hardening
from tune_distill.measure.loyalty import Reference
from tune_distill.robustness import frozen
from tune_distill.robustness.resources import Resources
from tune_distill.spec import StudySpec
from tune_distill.teacher import Given
from tune_distill.train import predict

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Augmented:
    """Adversarial rows of train, found against the study's teacher."""

    defence: Augment  # of those that learn from them, the first
    folder: Path


def given(
    spec: StudySpec,
    resources: Resources,
    defence: Hardening,
    augmented: Sequence[Augmented],
    device: str,
) -> Given:
    """What a defence that changes words reads of a study."""
    own = None
    if isinstance(defence, Augment):
        own = next(one.folder for one in augmented if _same_rows(one.defence, defence))
    rows = frozen.opened(own) if own is not None else None
    return Given(resources.open(device), spec.robustness.profile, rows)


def reference(folder: Path, answers: Path | None, task: Path, device: str) -> Reference | None:
    """A teacher as its students are compared with it; None where there is nothing to compare.

    Args:
        folder: of the teacher.
        answers: as of `Taught`.
        task: in its tokens.
        device: where it answers what it hasn't yet.
    """
    if answers is None:
        return None
    opened = tasks.open_prepared(task)

    def model() -> PreTrainedModel:
        found = reading.model(folder)
        nn.Module.to(found, device)
        return found

    def known(split: str) -> NDArray[np.float32]:
        found = filed(answers) if split == "search" else None
        return predict(model(), opened.splits()[split], device) if found is None else found

    def asked(columns: tuple[list[str], ...]) -> NDArray[np.float32]:
        tokenizer = teacher.load_tokenizer(folder)
        return measure.answers(model(), tokenizer, opened.max_length, device, columns)

    return Reference(known, asked)


def filed(answers: Path | None) -> NDArray[np.float32] | None:
    """A teacher's answers on the search split, (rows, classes), as `Taught` has them.

    None where there are none: a row has not one class, or the disk was full.
    """
    if answers is None or not (answers / "logits.json").exists():
        return None
    return np.array(open_values(answers, "logits"), np.float32)


def _same_rows(first: Augment, second: Augment) -> bool:
    return all(getattr(first, knob) == getattr(second, knob) for knob in Augment.beforehand)
