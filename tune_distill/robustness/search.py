"""The greedy search, for all rows in lock step.

Each row that is still right takes its next word, in the attack's order; the candidates of all
those words are scored together; each row keeps its best candidate if that lowers the margin, and
leaves once the model is wrong, its queries are spent or its words are done. What happens to
a row depends on that row alone: not on the others, their order, or the size of a forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tune_distill.errors import DataError
from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.attempt import (
    Attempt,
    RowOutcome,
    changes_allowed,
    word_order,
)
from tune_distill.robustness.saliency import word_weights
from tune_distill.robustness.scorer import TOKEN_BUDGET, Scorer, evaluating, margins
from tune_distill.robustness.words import split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class AttackResult:
    """An attack's outcome, row by row; its arrays are read-only."""

    outcomes: NDArray[np.int8]  # (rows,) RowOutcome
    queries: NDArray[np.int32]  # (rows,) scored texts, the clean one included
    words_changed: NDArray[np.int32]  # (rows,)
    words: NDArray[np.int32]  # (rows,) in the column that may be edited
    texts: tuple[list[str], ...]  # the columns as the attack left them: flipped, or its best try


def attack(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: tuple[list[str], ...],
    labels: NDArray[np.int64],
    recipe: Attack,
    *,
    max_length: int,
    device: torch.device | str = "cpu",
    token_budget: int = TOKEN_BUDGET,
) -> AttackResult:
    """Attack a classifier on labelled rows.

    Args:
        model: any Hugging Face sequence classifier of two classes or more, in float32.
        tokenizer: its fast tokenizer.
        texts: one list a text column: one, or two for pairs.
        labels: (rows,) class codes.
        recipe: the attack.
        max_length: tokens at which texts are cut; words beyond are never edited.
        device: where the model is.
        token_budget: padded tokens a forward pass; changes the speed, never the outcome.

    Raises:
        DataError: a regression model or a slow tokenizer; columns, labels or weights that do not
            fit; logits that are not finite.
    """
    side = check(model, tokenizer, texts, labels, recipe)
    scorer = Scorer(
        model, tokenizer, max_length=max_length, device=device, token_budget=token_budget
    )
    with evaluating(model):
        labels = np.asarray(labels, np.int64)
        live = attempts = _begin(scorer, texts, labels, recipe, side)
        while live := [attempt for attempt in live if attempt.propose(recipe)]:
            _step(scorer, live, texts, labels, side)
    return _result(attempts, texts, side)


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


def _begin(
    scorer: Scorer,
    texts: tuple[list[str], ...],
    labels: NDArray[np.int64],
    recipe: Attack,
    side: int,
) -> list[Attempt]:
    sources = [split(text) for text in texts[side]]
    logits, weights = word_weights(scorer, texts, labels, sources, side)
    right = logits.argmax(axis=1) == labels
    return [
        Attempt(
            row=row,
            source=source,
            words=list(source.words),
            order=word_order(source, weights[row], recipe),
            changes_left=changes_allowed(len(source.words), recipe),
            margin=margin,
            outcome=RowOutcome.ROBUST if right[row] else RowOutcome.WRONG,
        )
        for row, (source, margin) in enumerate(
            zip(sources, margins(logits, labels).tolist(), strict=True)
        )
    ]


def _step(
    scorer: Scorer,
    live: list[Attempt],
    texts: tuple[list[str], ...],
    labels: NDArray[np.int64],
    side: int,
) -> None:
    edited = [attempt.texts() for attempt in live]
    rows = np.repeat([attempt.row for attempt in live], [len(made) for made in edited])
    columns = [[column[row] for row in rows] for column in texts]
    columns[side] = [text for made in edited for text in made]
    scored = margins(scorer.logits(columns), labels[rows])
    cuts = np.cumsum([len(made) for made in edited])[:-1]
    for attempt, part in zip(live, np.split(scored, cuts), strict=True):
        attempt.judge(part)


def _result(attempts: list[Attempt], texts: tuple[list[str], ...], side: int) -> AttackResult:
    columns = tuple(list(column) for column in texts)
    columns[side][:] = [attempt.source.text(attempt.words) for attempt in attempts]
    changed = [
        sum(a != b for a, b in zip(attempt.words, attempt.source.words, strict=True))
        for attempt in attempts
    ]
    result = AttackResult(
        outcomes=np.array([attempt.outcome for attempt in attempts], np.int8),
        queries=np.array([attempt.queries for attempt in attempts], np.int32),
        words_changed=np.array(changed, np.int32),
        words=np.array([len(attempt.words) for attempt in attempts], np.int32),
        texts=columns,
    )
    for array in (result.outcomes, result.queries, result.words_changed, result.words):
        array.setflags(write=False)
    return result
