"""The last block computed for the first token alone, against the whole of it."""

from __future__ import annotations

import pytest
import torch

from tests import tiny
from tune_distill import signals
from tune_distill.signals import Needs
from tune_distill.signals.last_block import first_token_alone

SHORTENED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
WHOLE = ("distilbert", "albert", "xlnet")


def computed(model, inputs):
    """Logits, and the gradient of their first column's sum with respect to the embeddings."""
    model.zero_grad()
    logits = model(**inputs).logits
    logits[:, 0].sum().backward()
    return logits.detach(), model.get_input_embeddings().weight.grad.clone()


def states_after_attention(model, inputs):
    """The tokens of a row for which the last block's feed-forward is computed."""
    seen = []
    block = model.get_submodule(model.base_model_prefix).encoder.layer[-1]
    handle = block.output.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[1]))
    model(**inputs)
    handle.remove()
    return seen


@pytest.fixture
def inputs():
    ids = torch.tensor([[1, 9, 8, 7, 2, 0, 0], [1, 3, 4, 5, 6, 7, 2]])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", SHORTENED)
def test_logits_and_gradients_are_the_whole_blocks(family, attention, padded, inputs):
    model = tiny.teacher(family).eval()
    model.set_attn_implementation(attention)
    inputs = inputs if padded else {name: rows[1:] for name, rows in inputs.items()}
    expected = computed(model, inputs)
    with first_token_alone(model):
        found = computed(model, inputs)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", WHOLE)
def test_other_families_are_left_as_they_are(family, inputs):
    model = tiny.teacher(family).eval()
    expected = computed(model, inputs)
    with first_token_alone(model):
        found = computed(model, inputs)
    for own, other in zip(found, expected, strict=True):
        assert torch.equal(own, other)


@pytest.mark.parametrize("family", SHORTENED)
def test_the_feed_forward_of_the_last_block_sees_one_token(family, inputs):
    model = tiny.teacher(family).eval()
    with first_token_alone(model):
        assert states_after_attention(model, inputs) == [1]
    assert states_after_attention(model, inputs) == [7]


def test_a_head_of_somebodys_own_gets_every_token(inputs):
    class Averaging(type(tiny.bert())):
        pass

    model = tiny.bert(dropout=0.0)
    model.__class__ = Averaging
    with first_token_alone(model):
        assert states_after_attention(model, inputs) == [7]


def test_a_feed_forward_in_chunks_is_left_whole(inputs):
    model = tiny.bert(dropout=0.0)
    model.config.chunk_size_feed_forward = 7
    with first_token_alone(model):
        assert states_after_attention(model, inputs) == [7]


def test_unknown_attention_is_left_whole(inputs):
    model = tiny.bert(dropout=0.0)
    model.config._attn_implementation = "flash_attention_2"
    with first_token_alone(model):
        assert "forward" not in vars(model.bert.encoder.layer[-1].attention.self)


def test_inside_itself_it_changes_nothing(inputs):
    model = tiny.bert(dropout=0.0)
    with first_token_alone(model):
        with first_token_alone(model):
            assert states_after_attention(model, inputs) == [1]
        assert states_after_attention(model, inputs) == [1]
    assert states_after_attention(model, inputs) == [7]


def test_attention_is_dropped_in_training_alone(inputs):
    model = tiny.bert(dropout=0.0)
    own = model.bert.encoder.layer[-1].attention.self
    own.dropout.p = 1.0
    seen = []
    own.register_forward_hook(lambda _m, _i, out: seen.append(bool(out[0].any())))
    with first_token_alone(model):
        model.eval()(**inputs)
        model.train()(**inputs)
    assert seen == [True, False]


@pytest.mark.parametrize(
    ("needs", "tokens"),
    [
        (Needs(logits=True), 1),
        (Needs(cls=(1, 2), hidden=(0, 1), qkv=(1,)), 1),
        (Needs(hidden=(2,)), 7),
        (Needs(qkv=(2,)), 7),
    ],
)
def test_signals_leave_out_what_no_one_reads(inputs, needs, tokens):
    model = tiny.bert(dropout=0.0, layers=2)
    seen = []
    model.bert.encoder.layer[-1].output.register_forward_hook(
        lambda _m, _i, out: seen.append(out.shape[1])
    )
    found = signals.run(model, inputs, needs)
    assert seen == [tokens]
    whole = signals.run(model, inputs, needs | Needs(hidden=(2,)))
    torch.testing.assert_close(found.logits, whole.logits, rtol=1e-5, atol=1e-6)
    for kind in ("cls", "hidden", "query", "key", "value"):
        for layer, values in getattr(found, kind).items():
            expected = getattr(whole, kind)[layer]
            torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-6)


def test_an_error_leaves_no_hook_behind(inputs):
    model = tiny.bert(dropout=0.0)
    with pytest.raises(ZeroDivisionError), first_token_alone(model):
        _ = 1 / 0
    assert "forward" not in vars(model.bert.encoder.layer[-1].attention.self)
    assert states_after_attention(model, inputs) == [7]


def test_whole_is_the_same_to_the_bit_whatever_else_is_asked(inputs):
    model = tiny.bert(layers=3, hidden_size=48, heads=4).eval()
    alone = signals.run(model, inputs, Needs(logits=True), whole=True)
    among = signals.run(model, inputs, Needs(logits=True, hidden=(3,), qkv=(3,)))
    assert torch.equal(alone.logits, among.logits)
