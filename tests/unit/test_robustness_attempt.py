"""One row's choices: what differs by less than a float32 logit can tell is a tie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tune_distill.robustness.attacks import ATTACKS
from tune_distill.robustness.attempt import Attempt, RowOutcome, changes_allowed, word_order
from tune_distill.robustness.words import split

CHAR = ATTACKS["char"]


def attempt(text, margin):
    source = split(text)
    order = list(range(len(source.words)))
    row = Attempt(0, source, list(source.words), order, 9, margin, RowOutcome.ROBUST)
    assert row.propose(CHAR)
    return row


@pytest.mark.parametrize(
    ("scored", "kept", "margin"),
    [
        ([2.0, 0.5, 0.7, 1.0], 1, 0.5),
        ([0.50005, 0.5, 0.7, 1.0], 0, 0.50005),  # within 1e-4 of the best: the first of them
        ([0.5002, 0.5, 0.7, 1.0], 1, 0.5),
        ([3.0, 2.99995, 4.0, 5.0], None, 3.0),  # better by under 1e-4: not better
    ],
)
def test_the_best_proposal_is_kept_and_the_first_among_equals(scored, kept, margin):
    row = attempt("film", margin=3.0)
    row.judge(np.array(scored))
    assert row.words == ["film" if kept is None else row.proposals[kept]]
    assert row.margin == pytest.approx(margin, abs=1e-6)
    assert row.queries == 5
    assert row.changes_left == (9 if kept is None else 8)
    assert row.outcome is RowOutcome.ROBUST


@pytest.mark.parametrize(
    ("score", "outcome"), [(-0.00005, RowOutcome.ROBUST), (-0.0002, RowOutcome.FLIPPED)]
)
def test_a_flip_is_one_beyond_the_last_bits_of_a_logit(score, outcome):
    row = attempt("film", margin=3.0)
    row.judge(np.array([1.0, score, 1.0, 1.0]))
    assert row.outcome is outcome


def test_a_flipped_row_proposes_nothing_more():
    row = attempt("film story", margin=3.0)
    row.judge(np.array([-1.0, 1.0, 1.0, 1.0]))
    assert row.order
    assert not row.propose(CHAR)


def test_trying_a_proposal_leaves_the_row_as_it_was():
    row = attempt("a film, a story", margin=3.0)
    made = row.texts()
    assert made == [f"a film, a {proposal}" for proposal in row.proposals]
    assert row.words == ["a", "film", "a", "story"]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.1, 0.3, 0.2], [1, 2, 0]),
        ([0.2, 0.2, 0.2], [0, 1, 2]),
        ([0.2, 0.2000001, 0.3], [2, 0, 1]),  # equal to four digits of the largest
        ([0.0, 0.0, 0.0], [0, 1, 2]),
        ([0.1, np.nan, 0.3], [2, 0]),  # not reached
    ],
)
def test_the_heaviest_word_is_first_and_equals_come_as_in_the_text(weights, expected):
    order = word_order(split("good film story"), np.array(weights, np.float32), CHAR)
    assert order[::-1] == expected


def test_short_words_are_not_in_the_order():
    weights = np.array([0.9, 0.1, 0.8], np.float32)
    assert word_order(split("an odd it"), weights, CHAR) == [1]


def test_the_random_order_is_the_texts_own_and_ignores_the_weights():
    text = split("one two three four five six seven eight")
    chance = replace(CHAR, order="random")
    orders = [word_order(text, np.full(8, w, np.float32), chance) for w in (0.1, 0.9)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(8))
    assert orders[0] != word_order(text, np.ones(8, np.float32), replace(chance, seed=1))


@pytest.mark.parametrize(
    ("words", "limits", "expected"),
    [
        (10, {"max_fraction": 0.3}, 3),
        (11, {"max_fraction": 0.3}, 4),  # 3.3, rounded up
        (10, {"max_fraction": 0.7}, 7),  # not the 8 of its binary product
        (1, {"max_fraction": 0.3}, 1),
        (0, {"max_fraction": 0.3}, 0),
        (11, {"max_fraction": 1.0, "max_words": 2}, 2),
    ],
)
def test_the_share_of_words_is_rounded_up_and_max_words_caps_it(words, limits, expected):
    assert changes_allowed(words, replace(CHAR, **limits)) == expected
