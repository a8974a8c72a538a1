"""Robust accuracy: right on the clean text, and flipped by no attack.

    robust_worst = 1/n Σ_i [right_i and no attack flips i]

over all n rows, wrong ones included: a success rate among the right ones would flatter a worse
classifier. Attacks are adaptive (run against this very model: texts that fool the teacher
say little about a student, and are biased against distilled ones) and every model meets the same
rows, so the outcomes kept here, row by row, make differences between models paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tune_distill.errors import DataError
from tune_distill.outcome import Interval
from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.opened import NONE, Opened
from tune_distill.robustness.search import AttackResult, attack
from tune_distill.statistics import wilson

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MASKING = 0.02  # of the rows: a gradient this much worse than leaving words out is of no use


@dataclass(frozen=True)
class Rate:
    """A share of rows and its 95 % Wilson interval."""

    value: float
    interval: Interval
    n: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_]) -> Rate:
        """The share of `hits` that are true; at least one is needed."""
        successes, n = int(hits.sum()), len(hits)
        return cls(value=successes / n, interval=wilson(successes, n), n=n)


@dataclass(frozen=True)
class AttackRates:
    """What one attack did to the rows."""

    recipe: Attack
    robust: Rate  # right before and not flipped, of all rows
    success: Rate | None  # flipped, of the rows that were right; None where none was
    mean_queries: float  # of the rows that were right
    words_changed: float  # mean share of a flipped row's words; 0 where none was flipped
    result: AttackResult  # row by row


@dataclass(frozen=True)
class Robustness:
    """What all the attacks of a study did to the same rows."""

    n: int
    clean: Rate
    robust_worst: Rate
    attacks: dict[str, AttackRates]  # by name


def select_rows(labels: NDArray[np.int64], n: int = 400, seed: int = 0) -> NDArray[np.int64]:
    """The rows to attack: `n` of them, each class in proportion, sorted; all where there are fewer.

    A row's rank is a hash of (seed, row), so a larger n adds rows and, but for the rounding of
    the classes' shares, drops none.

    Raises:
        DataError: labels that are not class codes, or n below 1.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu" or labels.ndim != 1 or n < 1:
        got = f"{labels.dtype} {labels.shape}, n = {n}"
        raise DataError(f"attack rows are drawn by class: integer labels and n >= 1, got {got}")
    if n >= len(labels):
        return np.arange(len(labels))
    ranks = np.array([_rank(seed, row) for row in range(len(labels))], np.uint64)
    chosen = [
        rows[np.argsort(ranks[rows], kind="stable")[:share]]
        for label, share in _shares(labels, n).items()
        for rows in [np.flatnonzero(labels == label)]
    ]
    return np.sort(np.concatenate(chosen))


def robustness(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    texts: tuple[list[str], ...],
    labels: NDArray[np.int64],
    recipes: Sequence[Attack],
    *,
    max_length: int,
    device: torch.device | str = "cpu",
    token_budget: int | None = None,
    resources: Opened = NONE,
) -> Robustness:
    """Run each attack against the model on these rows; arguments as `robustness.search.attack`.

    What is returned of each is the recipe with its resources' digest as part of its identity.

    Raises:
        DataError: no attack, two of one name, or what `attack` refuses.
    """
    names = [recipe.name for recipe in recipes]
    if not names or len(set(names)) < len(names):
        raise DataError(f"robustness needs at least one attack, each name once, got {names}")
    recipes = [resources.bound(recipe) for recipe in recipes]
    results = [
        attack(
            model,
            tokenizer,
            texts,
            labels,
            recipe,
            max_length=max_length,
            device=device,
            token_budget=token_budget,
            resources=resources,
        )
        for recipe in recipes
    ]
    outcomes = np.stack([result.outcomes for result in results])  # (attacks, rows)
    return Robustness(
        n=outcomes.shape[1],
        clean=Rate.of(outcomes[0] != RowOutcome.WRONG),
        robust_worst=Rate.of((outcomes == RowOutcome.ROBUST).all(axis=0)),
        attacks={
            recipe.name: _rates(recipe, result)
            for recipe, result in zip(recipes, results, strict=True)
        },
    )


def masked_gradients(by_gradient: Robustness, left_out: Robustness) -> list[str]:
    """The attacks that a model's gradient misleads: its robustness to them is in part a show.

    Those in gradient order that leave over 2 points more of the rows robust than leaving each word
    out does at the same budget, which pays a query a word for its order.

    Args:
        by_gradient: the attacks as they are.
        left_out: the same by name, in the order `delete`.
    """
    return [
        name
        for name, one in by_gradient.attacks.items()
        if one.recipe.order == "gradient"
        and one.robust.value - left_out.attacks[name].robust.value > MASKING
    ]


def _rates(recipe: Attack, result: AttackResult) -> AttackRates:
    right = result.outcomes != RowOutcome.WRONG
    flipped = result.outcomes == RowOutcome.FLIPPED
    shares = result.words_changed[flipped] / result.words[flipped]
    return AttackRates(
        recipe=recipe,
        robust=Rate.of(result.outcomes == RowOutcome.ROBUST),
        success=Rate.of(flipped[right]) if right.any() else None,
        mean_queries=float(result.queries[right].mean()) if right.any() else 0.0,
        words_changed=float(shares.mean()) if flipped.any() else 0.0,
        result=result,
    )


def _shares(labels: NDArray[np.int64], n: int) -> dict[int, int]:
    """Rows a class, summing to n: proportional, what is left to the largest remainders."""
    classes, counts = np.unique(labels, return_counts=True)
    shares, remainders = np.divmod(counts * n, len(labels))
    extra = np.argsort(-remainders, kind="stable")[: n - int(shares.sum())]
    shares[extra] += 1
    return dict(zip(classes.tolist(), shares.tolist(), strict=True))


def _rank(seed: int, row: int) -> int:
    return int.from_bytes(blake2b(f"{seed}\0{row}".encode(), digest_size=8).digest(), "big")
