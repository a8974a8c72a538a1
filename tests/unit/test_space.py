"""Spaces: parsing their YAML, and drawing from them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_distill.space import (
    Branch,
    Choice,
    Constant,
    Divisors,
    IntRange,
    LogUniform,
    Space,
    Uniform,
    at_random,
    parse,
)


@pytest.mark.parametrize(
    ("node", "distribution"),
    [
        (3, Constant(3)),
        ("first", Constant("first")),
        ([1, 2], Choice((1, 2))),
        ({"uniform": [0.0, 1]}, Uniform(0.0, 1.0)),
        ({"log": [1.0e-5, 1.0]}, LogUniform(1.0e-5, 1.0)),
        ({"int": [1, 4]}, IntRange(1, 4)),
        ({"int": [2, 8, 3]}, IntRange(2, 8, 3)),
    ],
)
def test_each_node_of_the_yaml_is_its_distribution(node, distribution):
    assert parse(node) == distribution


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ([], "one or more"),
        ([1, [2]], "plain values"),
        ([1, 1], "repeat"),
        ({"unifrom": [0.0, 1.0]}, "unknown range 'unifrom'"),
        ({"uniform": [0.0, 1.0], "log": [1.0, 2.0]}, "one key"),
        ({"uniform": [1.0, 1.0]}, "low < high"),
        ({"uniform": [0.0]}, "numbers"),
        ({"log": [0.0, 1.0]}, "low > 0"),
        ({"log": ["1e-5", 1.0]}, "YAML floats need a point"),
        ({"int": [1.5, 3]}, "integers"),
        ({"int": [1, 4, 2]}, "step"),
        ({"int": [False, True]}, "integers"),
    ],
)
def test_a_bad_node_is_refused_with_what_would_work(node, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        parse(node)


SPACE = Space(
    {
        "student.hidden_size": Choice((96, 128)),
        "student.heads": Divisors((3, 4, 8), of="student.hidden_size"),
        "method": Branch({"finetune": {}, "kd": {"alpha": Uniform(0.0, 1.0), "b": Constant(7)}}),
        "lr": LogUniform(1.0e-5, 1.0e-3),
        "n": IntRange(2, 8, 3),
    }
)


@given(st.integers(0, 10_000))
def test_every_draw_is_within_its_space(seed):
    draw = SPACE.draw(at_random(random.Random(seed)))

    assert draw["student.hidden_size"] in {96, 128}
    assert draw["student.hidden_size"] % draw["student.heads"] == 0
    assert 1.0e-5 <= draw["lr"] <= 1.0e-3
    assert draw["n"] in {2, 5, 8}
    assert {"method.kd.alpha", "method.kd.b"}.issubset(draw) == (draw["method"] == "kd")


def test_divisors_are_asked_under_a_name_for_each_set_of_legal_values():
    asked = []

    def suggest(name, distribution):
        asked.append((name, distribution))
        return distribution.ends()[-1]

    SPACE.draw(suggest)  # the last choice of each: 128 wide, which 3 does not divide

    assert ("student.heads|4|8", Choice((4, 8))) in asked
    assert Divisors((3, 4, 8), of="w").draw("h", {"w": 96}, suggest) == 8  # all of them divide 96
    assert asked[-1] == ("h", Choice((3, 4, 8)))


def test_constants_and_sole_options_are_not_asked_of_the_sampler():
    space = Space({"a": Constant(1), "method": Branch({"kd": {"t": Constant(2.0)}})})

    def suggest(name, distribution):
        raise AssertionError(f"{name} was asked")

    assert space.draw(suggest) == {"a": 1, "method": "kd", "method.kd.t": 2.0}


def test_log_uniform_draws_have_a_uniform_logarithm():
    suggest = at_random(random.Random(0))
    draws = sorted(suggest("x", LogUniform(1.0, 100.0)) for _ in range(4001))
    # the median of exp(U(0, log 100)) is sqrt(100) = 10; its standard error here is about 0.36
    assert draws[2000] == pytest.approx(10.0, abs=1.5)
