"""One row's choices: what differs by less than a float32 logit can tell is a tie."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tune_distill.robustness import ATTACKS
from tune_distill.robustness.attempt import Attempt, RowOutcome, by_weight, gain
from tune_distill.robustness.constraints import cased, changes_allowed, distance, editable
from tune_distill.robustness.words import split

CHAR = replace(ATTACKS["char"], max_fraction=1.0, max_distance=None)
FULL = replace(CHAR, search="full")


def attempt(text, margin=3.0, recipe=CHAR, options=("A", "B", "C", "D"), saliencies=None):
    """A row whose words all have the same candidates, and which tries its last word first."""
    source = split(text)
    places = range(len(source.words))
    return Attempt(
        row=0,
        source=source,
        margin=margin,
        outcome=RowOutcome.ROBUST,
        recipe=recipe,
        options={place: list(options) for place in places},
        order=list(places),
        saliencies=saliencies or {},
    )


def step(row, margins):
    """Pose the next word's candidates and say what each is worth; the texts that were asked."""
    assert row.advance()
    asked = row.pose(row.options[row.trying])
    row.seen.update(zip(asked, margins, strict=False))
    row.judge()
    return asked


@pytest.mark.parametrize(
    ("scored", "kept", "margin"),
    [
        ([2.0, 0.5, 0.7, 1.0], "B", 0.5),
        ([0.50005, 0.5, 0.7, 1.0], "A", 0.50005),  # within 1e-4 of the best: the first of them
        ([0.5002, 0.5, 0.7, 1.0], "B", 0.5),
        ([3.0, 2.99995, 4.0, 5.0], "film", 3.0),  # better by under 1e-4: not better
    ],
)
def test_the_best_proposal_is_kept_and_the_first_among_equals(scored, kept, margin):
    row = attempt("film")
    step(row, scored)
    assert row.words == [kept]
    assert row.margin == margin
    assert row.queries == 5
    assert row.outcome is RowOutcome.ROBUST


@pytest.mark.parametrize(
    ("score", "outcome"), [(-0.00005, RowOutcome.ROBUST), (-0.0002, RowOutcome.FLIPPED)]
)
def test_a_flip_is_one_beyond_the_last_bits_of_a_logit(score, outcome):
    row = attempt("film")
    step(row, [1.0, score, 1.0, 1.0])
    assert row.outcome is outcome


def test_a_flipped_row_proposes_nothing_more():
    row = attempt("film story")
    step(row, [-1.0, 1.0, 1.0, 1.0])
    assert row.order
    assert not row.advance()


def test_posing_leaves_the_row_as_it_was():
    row = attempt("a film, a story")
    assert row.advance()
    assert row.pose(["X", "Y"]) == ["a film, a X", "a film, a Y"]
    assert row.words == ["a", "film", "a", "story"]


def test_a_text_that_was_asked_about_costs_no_second_query():
    row = attempt("film", options=("A", "B"), recipe=replace(CHAR, budget=2))
    row.seen["A"] = 1.0  # the budget is spent, but for what is known
    assert not row.advance()
    row = attempt("film", options=("A", "B"), recipe=replace(CHAR, budget=3))
    row.seen["A"] = 1.0
    assert step(row, [2.0]) == ["B"]
    assert row.queries == 3
    assert row.words == ["A"]


def test_a_full_search_keeps_the_best_change_of_each_round():
    row = attempt("one two", recipe=FULL, options=("A", "B"))
    step(row, [2.5, 2.6])  # two -> A is noted
    assert row.words == ["one", "two"]
    step(row, [2.0, 2.1])  # one -> A is better
    assert step(row, [1.0, 1.5]) == ["A A", "A B"]  # the next round begins from it
    assert row.words == ["A", "two"]
    assert not row.advance()
    assert row.words == ["A", "A"]


def test_a_full_search_that_is_cut_short_keeps_its_best_try():
    row = attempt("one two", recipe=replace(FULL, budget=4), options=("A", "B"))
    step(row, [2.5, 2.6])
    step(row, [2.55])
    assert not row.advance()
    assert row.words == ["one", "two"]
    row.settle()
    assert row.words == ["one", "A"]


def test_a_full_search_stops_at_the_first_flip():
    row = attempt("one two", recipe=FULL, options=("A", "B"))
    step(row, [-0.5, 2.0])
    assert row.words == ["one", "A"]
    assert not row.advance()


def test_weighted_saliency_is_a_softmax_times_the_best_gain():
    # Gains: one 3 -> 1, two 3 -> 2. Saliencies 0 and 2: e^-2 gain(3, 1) < gain(3, 2), so two is
    # first though one gains more. gain(3, 1) = 0.952574 - 0.731059, gain(3, 2) = ... - 0.880797.
    row = attempt("one two", options=("A",), saliencies={0: 0.0, 1: 2.0})
    step(row, [2.0])
    step(row, [1.0])
    assert gain(3.0, 1.0) == pytest.approx(0.221515, abs=1e-6)
    assert gain(3.0, 2.0) == pytest.approx(0.071777, abs=1e-6)
    assert math.exp(-2) * 0.221515 < 0.071777
    assert row.words == ["one", "two"]  # surveyed only
    assert step(row, []) == []  # what was asked in the survey is known
    assert row.words == ["one", "A"]
    assert step(row, [0.5]) == ["A A"]
    assert row.words == ["A", "A"]


def test_a_survey_ends_with_the_first_flip():
    row = attempt("one two", options=("A",), saliencies={0: 0.0, 1: 2.0})
    step(row, [-1.0])
    assert row.words == ["one", "A"]
    assert row.outcome is RowOutcome.FLIPPED


def test_candidates_beyond_the_whole_texts_distance_are_not_tried():
    limited = replace(CHAR, max_distance=3)
    row = attempt("film story", recipe=limited, options=("stary", "stars", "films"))
    assert step(row, [2.0, 1.0]) == ["film stary", "film stars"]  # films: 4 letters away
    assert row.words == ["film", "stars"]  # 2 of 3
    assert step(row, [0.5]) == ["films stars"]  # 1 more; stary and stars are 4 and 3 away
    assert row.words == ["films", "stars"]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.1, 0.3, 0.2], [1, 2, 0]),
        ([0.2, 0.2, 0.2], [0, 1, 2]),
        ([0.2, 0.2000001, 0.3], [2, 0, 1]),  # equal to four digits of the largest
        ([0.0, 0.0, 0.0], [0, 1, 2]),
        ([-0.1, -0.3, 0.0], [2, 0, 1]),  # without the word the margin grows
    ],
)
def test_the_heaviest_word_is_first_and_equals_come_as_in_the_text(weights, expected):
    assert by_weight(dict(enumerate(weights)))[::-1] == expected


def test_a_gain_is_finite_whatever_the_margins():
    assert gain(1e4, -1e4) == 1.0
    assert gain(-1e4, 1e4) == -1.0


def test_short_words_and_spared_stop_words_are_not_editable():
    words = ("An", "odd", "film", "BUT", "good", "it")
    assert editable(words, CHAR) == [1, 2, 3, 4]
    assert editable(words, replace(CHAR, stop_words=False)) == [1, 2, 4]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("kitten", "sitting", 3), ("film", "film", 0), ("", "abc", 3), ("flim", "film", 2)],
)
def test_the_distance_is_levenshteins(a, b, expected):
    assert distance(a, b) == distance(b, a) == expected


@pytest.mark.parametrize(
    ("word", "like", "expected"),
    [
        ("movie", "Film", "Movie"),
        ("movie", "FILM", "MOVIE"),
        ("movie", "I", "Movie"),
        ("McCoy", "film", "McCoy"),
        ("", "Film", ""),
    ],
)
def test_a_neighbour_takes_the_case_of_the_word(word, like, expected):
    assert cased(word, like) == expected


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
