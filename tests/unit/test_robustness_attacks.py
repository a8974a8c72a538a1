"""An attack's identity covers all of it, and a wrong one is refused with every reason."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from tune_distill.errors import SpecError
from tune_distill.robustness import ATTACKS, Attack
from tune_distill.spec.attacks import ATTACK_NAMES

OTHER = {
    "name": "other",
    "edits": ("swap",),
    "search": "full",
    "order": "random",
    "budget": 31,
    "max_fraction": 0.5,
    "max_words": 2,
    "max_distance": 29,
    "min_word_length": 4,
    "stop_words": False,
    "neighbours": 5,
    "min_cosine": 0.5,
    "joined": True,
    "side": 0,
    "profile": "strict",
    "resource": "table:1234",
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


def test_a_study_may_name_every_shipped_attack():
    assert tuple(ATTACKS) == ATTACK_NAMES


def test_the_name_beside_a_number_tells_profile_budget_and_digest():
    strict = ATTACKS["table"].under("strict")
    assert strict.shown == f"table-strict/30 #{strict.digest[:4]}"
    assert ATTACKS["char"].within(None).shown.startswith("char-lax/all #")


def test_the_strict_profile_only_ever_tightens():
    for recipe in ATTACKS.values():
        strict = recipe.under("strict")
        assert strict.max_words == min(2, recipe.max_words or 2)
        assert strict.neighbours == 3
        assert strict.min_cosine == 0.7
        assert strict.min_word_length == 4
        assert not strict.stop_words
        assert strict.max_fraction == recipe.max_fraction
        assert strict.under("strict") == strict
        assert recipe.under("lax") == recipe


def test_a_recipe_names_the_resources_that_its_edits_read():
    needed = {name: recipe.resources for name, recipe in ATTACKS.items() if recipe.resources}
    assert needed == {
        "table": ("table",),
        "wordnet": ("wordnet",),
        "bae": ("masked_lm",),
        "textbugger": ("table",),
    }


def test_all_mistakes_are_named_at_once():
    with pytest.raises(SpecError) as raised:
        Attack(
            "bad",
            ("swop",),
            search="beam",
            order="alphabetic",
            budget=0,
            max_fraction=0.0,
            max_words=0,
            max_distance=0,
            min_word_length=1,
            neighbours=0,
            min_cosine=1.5,
            side=2,
        )
    mistakes = {problem.split(": ")[1].split(" ")[0] for problem in raised.value.problems}
    wrong = ("search", "order", "budget", "max_fraction", "max_words", "max_distance")
    assert mistakes == {"unknown", *wrong, "min_word_length", "neighbours", "min_cosine", "side"}


def test_an_attack_without_edits_is_refused():
    with pytest.raises(SpecError, match="at least one"):
        Attack("bad", ())
