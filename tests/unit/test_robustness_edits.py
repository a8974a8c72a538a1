"""Each edit by hand, and what its draws depend on."""

from __future__ import annotations

import string
from hashlib import blake2b

import pytest

from tune_distill.robustness import bugs, typos
from tune_distill.robustness.edits import (
    candidates,
    delete,
    hashed,
    insert,
    substitute,
    swap,
)


@pytest.mark.parametrize(
    ("word", "draw", "expected"),
    [
        ("film", 0, "iflm"),
        ("film", 2, "fiml"),
        ("film", 3, "iflm"),  # 3 sites: 3 % 3 = 0
        ("zoo", 1, "ozo"),  # (o, o) is no site, so there is one
        ("Aab", 0, "Aba"),  # (A, a) is one letter to an uncased model
        ("aaa", 0, None),
    ],
)
def test_a_swap_changes_unlike_neighbours(word, draw, expected):
    assert swap(word, draw) == expected


@pytest.mark.parametrize(
    ("word", "draw", "expected"),
    [
        ("film", 0, "ailm"),  # site 0; letter 0 of the alphabet without f
        ("film", 4 * 5, "gilm"),  # site 0; letter 5 of it is g
        ("film", 4 * 25 + 3, "fila"),  # site 3; letter 25 % 25 = 0 of it
        ("FILM", 1, "FALM"),  # in the case of what it replaces
    ],
)
def test_a_substitution_never_draws_the_letter_that_stands_there(word, draw, expected):
    assert substitute(word, draw) == expected


@pytest.mark.parametrize(("draw", "expected"), [(0, "ilm"), (3, "fil"), (5, "flm")])
def test_a_deletion_takes_one_letter(draw, expected):
    assert delete("film", draw) == expected


def test_a_deletion_never_takes_the_last_letter():
    assert delete("a", 0) is None


@pytest.mark.parametrize(
    ("draw", "expected"),
    [(0, "afilm"), (4, "filma"), (5 * 2 + 1, "fcilm")],  # 5 sites; letter 2 is c
)
def test_an_insertion_may_come_anywhere(draw, expected):
    assert insert("film", draw) == expected


def test_a_draw_is_the_hash_of_seed_word_position_and_edit():
    digest = blake2b(b"7\0film\x003\0swap", digest_size=8).digest()
    assert hashed(7, "film", 3, "swap") == int.from_bytes(digest, "big")


@pytest.mark.parametrize("other", [(8, "film", 3), (7, "filn", 3), (7, "film", 4)])
def test_seed_word_and_position_each_change_the_draw(other):
    assert hashed(7, "film", 3, "swap") != hashed(*other, "swap")


def test_candidates_come_in_the_order_of_the_edits():
    both = candidates("zoo", 0, ("swap", "delete"), seed=0)
    assert both[0] == "ozo"
    assert both[1] in {"oo", "zo"}
    assert candidates("zoo", 0, ("delete", "swap"), seed=0) == both[::-1]


def test_a_candidate_is_made_once():
    # Every substitution of one letter in "aaa" is of length 3, every deletion is "aa".
    made = candidates("aaa", 0, ("delete", "delete", "swap"), seed=0)
    assert made == ["aa"]


def test_a_lone_surrogate_does_not_break_the_hash():
    assert 0 <= hashed(0, "\ud800", 0, "swap") < 2**64


def test_every_typing_error_inside_a_word_is_made():
    # "good": inner neighbours o-o are alike; o or o goes; letters after g, o, o; 4 keys beside o.
    made = candidates("good", 0, ("swaps", "deletions", "slips"), seed=0)
    assert made == ["god", "giod", "gpod", "gkod", "glod", "goid", "gopd", "gokd", "gold"]
    inserted = candidates("good", 0, ("insertions",), seed=0)
    assert [one[:at] + one[at + 1 :] for at, one in enumerate(inserted, start=1)] == ["good"] * 3


def test_the_first_and_the_last_letter_survive_every_typing_error():
    for word in ("Film", "wonderful", "ab", "a"):
        for new in candidates(word, 3, ("swaps", "deletions", "insertions", "slips"), seed=5):
            assert (new[0], new[-1]) == (word[0], word[-1])


def test_keys_that_touch_touch_both_ways():
    assert sorted(typos.KEYS) == list(string.ascii_lowercase)
    assert all(a in typos.KEYS[b] for a, near in typos.KEYS.items() for b in near)


@pytest.mark.parametrize(
    ("edit", "word", "draw", "expected"),
    [
        (bugs.space, "film", 1, ["fi lm"]),  # 3 inner sites: 1 + 1
        (bugs.space, "cinema", 1, []),  # 6 letters
        (bugs.space, "a", 0, []),
        (bugs.cut, "film", 1, ["fim"]),
        (bugs.cut, "is", 0, []),
        (bugs.inner, "movie", 1, ["moive"]),  # o-v and v-i
        (bugs.inner, "film", 0, []),  # 4 letters
        (bugs.similar, "Gala", 1, ["G@la"]),
        (bugs.similar, "hdx", 0, []),
    ],
)
def test_a_bug_is_the_one_drawn(edit, word, draw, expected):
    assert list(edit(word, draw)) == expected
