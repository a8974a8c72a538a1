"""Texts put together from known parts are the tokenizer's own encodings, whatever is in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import tokens
from tune_distill.robustness.pieces import Pieces, read

MAX = 12
odd = st.sampled_from(
    [
        " ",
        "  ",
        "\t",
        "\n",
        "\u00a0",
        "\u2003",
        "\u200d",
        "[SEP]",
        "[MASK] ",
        "[UNK]",
        "é",
        "e\u0301",
        "Σ",
        "İ",
    ]
)
texts = st.lists(st.text() | odd | st.sampled_from(["word", "plot ", "good", "中", "👍🏽"])).map(
    "".join
)


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory):
    return tokens.tokenizer("wordpiece", tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def pieces(wordpiece):
    return Pieces.of(wordpiece, MAX)


@given(some=st.lists(texts, min_size=1, max_size=4))
def test_the_tokens_are_the_tokenizers_own(wordpiece, pieces, some):
    batch = wordpiece(some, truncation=True, max_length=MAX)
    assert pieces.read(some) == [read(one) for one in batch.encodings]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_tokenizers_that_look_across_spaces_are_left_alone(tmp_path, kind):
    assert Pieces.of(tokens.tokenizer(kind, tmp_path), MAX) is None
