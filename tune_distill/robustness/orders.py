"""The beginning of an attack: each row's attempt, its words in the attack's order.

Formulas of the orders are in `saliency.py`; weighted saliency ends in `attempt.py`, once all words
have been surveyed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.attempt import Attempt, RowOutcome, by_weight, gain
from tune_distill.robustness.constraints import editable
from tune_distill.robustness.draws import hashed
from tune_distill.robustness.field import Field
from tune_distill.robustness.proposals import Proposals
from tune_distill.robustness.saliency import word_reach, word_weights
from tune_distill.robustness.scorer import margins
from tune_distill.robustness.words import Words, split


def begin(field: Field, recipe: Attack, proposals: Proposals) -> list[Attempt]:
    """The attempts, each with its words in the attack's order."""
    sources = [split(text, recipe.joined) for text in field.texts[field.side]]
    if recipe.order == "gradient":
        logits, weights = word_weights(field.scorer, field.texts, field.labels, sources, field.side)
    else:
        logits, weights = word_reach(field.scorer, field.texts, sources, field.side)
    right = logits.argmax(axis=1) == field.labels
    attempts = [
        Attempt(
            row=row,
            source=source,
            margin=margin,
            outcome=RowOutcome.ROBUST if right[row] else RowOutcome.WRONG,
            recipe=recipe,
            options=_options(source, weights[row], proposals, recipe) if right[row] else {},
        )
        for row, (source, margin) in enumerate(
            zip(sources, margins(logits, field.labels).tolist(), strict=True)
        )
    ]
    if recipe.order in ("gradient", "random"):
        for attempt in attempts:
            attempt.order = _order(attempt, weights[attempt.row])
    else:
        _leave_out(field, attempts)
    return attempts


def _options(
    source: Words, weights: NDArray[np.float32], proposals: Proposals, recipe: Attack
) -> dict[int, list[str]]:
    """The candidates of each word that may be edited and that the model reads."""
    places = [place for place in editable(source.words, recipe) if np.isfinite(weights[place])]
    found = {place: proposals.alone(source.words[place], place) for place in places}
    return found if proposals.in_context else {place: own for place, own in found.items() if own}


def _order(attempt: Attempt, weights: NDArray[np.float32]) -> list[int]:
    """The places by their gradient, the heaviest last, or in the text's own random order."""
    recipe, words = attempt.recipe, attempt.source.words
    if recipe.order == "random":
        return sorted(attempt.options, key=lambda at: hashed(recipe.seed, words[at], at, "order"))
    return by_weight({place: float(weights[place]) for place in attempt.options})


def _leave_out(field: Field, attempts: list[Attempt]) -> None:
    """Order the words by what the margin loses without each.

    An order that would leave no query for a single edit is not asked for: its row is done.
    """
    tokenizer = field.scorer.tokenizer
    unknown = tokenizer.unk_token or tokenizer.mask_token  # byte-level tokenizers may have none
    live = [one for one in attempts if 0 < len(one.options) < one.left]
    without = [
        {
            place: one.source.without(place)
            if one.recipe.order == "delete" or unknown is None
            else one.source.changed(place, str(unknown))
            for place in one.options
        }
        for one in live
    ]
    field.ask(
        [
            (one, [text for text in dict.fromkeys(made.values()) if text not in one.seen])
            for one, made in zip(live, without, strict=True)
        ]
    )
    for one, made in zip(live, without, strict=True):
        if one.recipe.order == "saliency":
            one.order = list(reversed(one.options))  # all of them are surveyed first
            one.saliencies = {
                place: gain(one.margin, one.seen[text]) for place, text in made.items()
            }
        else:
            one.order = by_weight({p: one.margin - one.seen[text] for p, text in made.items()})
