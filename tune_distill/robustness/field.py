"""The rows under attack and the model that is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tune_distill.errors import DataError
from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.attempt import Attempt
from tune_distill.robustness.scorer import Scorer, margins

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Field:
    """The rows under attack and the model that is asked about them."""

    scorer: Scorer
    texts: tuple[list[str], ...]
    labels: NDArray[np.int64]
    side: int  # of the column that is edited

    def ask(self, questions: Sequence[tuple[Attempt, Sequence[str]]]) -> None:
        """Score the texts that stand in for each attempt's; all in one call."""
        rows = np.repeat([one.row for one, _ in questions], [len(made) for _, made in questions])
        if not len(rows):
            return
        columns = [[column[row] for row in rows] for column in self.texts]
        columns[self.side] = [text for _, made in questions for text in made]
        scored = iter(margins(self.scorer.logits(columns), self.labels[rows]).tolist())
        for attempt, made in questions:
            attempt.seen.update((text, next(scored)) for text in made)


def check(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: tuple[list[str], ...],
    labels: NDArray[np.int64],
    recipe: Attack,
) -> int:
    """Which column the attack may edit, if it can run on this model and these rows at all.

    Raises:
        DataError: as `attack`.
    """
    classes = int(model.config.num_labels)  # type: ignore[union-attr, arg-type]
    labels = np.asarray(labels)
    dtype = next(model.parameters()).dtype
    if classes < 2:
        raise DataError("an attack flips a class: a model of one output (regression) has none")
    if (
        labels.dtype.kind not in "iu"
        or labels.ndim != 1
        or not all(len(c) == len(labels) for c in texts)
    ):
        got = f"labels {labels.dtype} {labels.shape}, columns of {[len(c) for c in texts]} rows"
        raise DataError(f"an attack needs an integer label for each row of each column, got {got}")
    if not len(labels):
        raise DataError("an attack needs rows, got none")
    if labels.min() < 0 or labels.max() >= classes:
        got = f"{labels.min()}..{labels.max()}"
        raise DataError(f"labels: the model has classes 0..{classes - 1}, got {got}")
    if len(texts) not in (1, 2) or recipe.side >= len(texts):
        got = f"{len(texts)} columns and side {recipe.side}"
        raise DataError(f"attack {recipe.name!r} edits one of one or two columns, got {got}")
    if not tokenizer.is_fast:
        raise DataError("an attack needs a fast tokenizer: it maps pieces back to characters")
    if dtype not in (torch.float32, torch.float64):
        raise DataError(f"attacks run in float32, got a model in {dtype}: use model.float()")
    return recipe.side % len(texts)
