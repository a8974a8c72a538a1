"""An attack's identity covers all of it, and a wrong one is refused with every reason."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from tune_distill.errors import SpecError
from tune_distill.robustness.attacks import ATTACKS, Attack

OTHER = {
    "name": "other",
    "edits": ("swap",),
    "order": "random",
    "budget": 31,
    "max_fraction": 0.5,
    "max_words": 2,
    "min_word_length": 4,
    "side": 0,
    "seed": 1,
}


def test_every_field_is_part_of_the_identity():
    base = ATTACKS["char"]
    assert set(OTHER) == {field.name for field in fields(Attack)}
    digests = {replace(base, **{name: value}).digest for name, value in OTHER.items()}
    assert len(digests | {base.digest}) == len(OTHER) + 1


def test_equal_attacks_have_one_digest_and_a_canonical_form_that_is_json():
    char = ATTACKS["char"]
    assert replace(char).digest == char.digest
    read = json.loads(char.canonical())
    assert Attack(**{**read, "edits": tuple(read["edits"])}) == char


@pytest.mark.parametrize("name", ATTACKS)
def test_a_shipped_attack_is_found_by_its_own_name(name):
    assert ATTACKS[name].name == name


def test_all_mistakes_are_named_at_once():
    with pytest.raises(SpecError) as raised:
        Attack(
            "bad",
            ("swop",),
            order="alphabetic",
            budget=0,
            max_fraction=0.0,
            max_words=0,
            min_word_length=1,
            side=2,
        )
    text = str(raised.value)
    for field in ("edits", "order", "budget", "max_fraction", "max_words", "min_word_length"):
        assert field in text
    assert len(raised.value.problems) == 7


def test_an_attack_without_edits_is_refused():
    with pytest.raises(SpecError, match="at least one"):
        Attack("bad", ())
