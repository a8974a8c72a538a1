"""The search, for all rows in lock step.

Each row that is still right takes its next word, in the attack's order; the candidates of all
those words are scored together; each row keeps or notes its best candidate (`attempt.py`), and
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

from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.attempt import Attempt
from tune_distill.robustness.field import Field, check
from tune_distill.robustness.opened import NONE, Opened
from tune_distill.robustness.orders import begin
from tune_distill.robustness.proposals import Proposals
from tune_distill.robustness.scorer import Scorer, evaluating

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class AttackResult:
    """An attack's outcome, row by row; its arrays are read-only."""

    outcomes: NDArray[np.int8]  # (rows,) RowOutcome
    queries: NDArray[np.int32]  # (rows,) distinct scored texts, the clean one included
    words_changed: NDArray[np.int32]  # (rows,)
    words: NDArray[np.int32]  # (rows,) in the column that may be edited
    texts: tuple[list[str], ...]  # the columns as the attack left them: flipped, or its best try
    changes: tuple[dict[int, str], ...]  # (rows,) new words by their place in the clean text


def attack(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: tuple[list[str], ...],
    labels: NDArray[np.int64],
    recipe: Attack,
    *,
    max_length: int,
    device: torch.device | str = "cpu",
    token_budget: int | None = None,
    resources: Opened = NONE,
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
        token_budget: padded tokens a forward pass; changes the speed, never the outcome. None:
            what suits the device.
        resources: what the recipe's edits read.

    Raises:
        DataError: a regression model or a slow tokenizer; columns, labels or weights that do not
            fit; a resource that is not there; logits that are not finite.
    """
    side = check(model, tokenizer, texts, labels, recipe)
    scorer = Scorer(
        model, tokenizer, max_length=max_length, device=device, token_budget=token_budget
    )
    proposals = Proposals(recipe, resources)
    with evaluating(model):
        field = Field(scorer, texts, np.asarray(labels, np.int64), side)
        live = attempts = begin(field, recipe, proposals)
        while live := [attempt for attempt in live if attempt.advance()]:
            asked = [(attempt.source, attempt.words, attempt.trying) for attempt in live]
            expected = proposals.together(asked)
            field.ask(
                [
                    (one, one.pose(list(dict.fromkeys([*one.options[one.trying], *more]))))
                    for one, more in zip(live, expected, strict=True)
                ]
            )
            for attempt in live:
                attempt.judge()
        for attempt in attempts:
            attempt.settle()
    return _result(attempts, texts, side)


def _result(attempts: list[Attempt], texts: tuple[list[str], ...], side: int) -> AttackResult:
    columns = tuple(list(column) for column in texts)
    columns[side][:] = [attempt.source.text(attempt.words) for attempt in attempts]
    changes = tuple(attempt.changed for attempt in attempts)
    result = AttackResult(
        outcomes=np.array([attempt.outcome for attempt in attempts], np.int8),
        queries=np.array([attempt.queries for attempt in attempts], np.int32),
        words_changed=np.array([len(changed) for changed in changes], np.int32),
        words=np.array([len(attempt.words) for attempt in attempts], np.int32),
        texts=columns,
        changes=changes,
    )
    for array in (result.outcomes, result.queries, result.words_changed, result.words):
        array.setflags(write=False)
    return result
