"""Signals by hooks, against what Transformers itself returns and against attention by hand."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tune_distill import signals
from tune_distill.signals import Needs

LAYERS, WIDTH, HEADS = 3, 16, 4


def bert(attention: str) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=40,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=24,
        max_position_embeddings=16,
        initializer_range=0.5,  # so that attention is far from uniform
        attn_implementation=attention,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval()


@pytest.fixture(params=["eager", "sdpa"])
def model(request) -> BertForSequenceClassification:
    return bert(request.param)


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    ids = torch.randint(1, 40, (2, 5), generator=torch.Generator().manual_seed(1)) * mask
    return {"input_ids": ids, "attention_mask": mask}


def hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_layers_are_those_of_output_hidden_states(model, inputs):
    every = tuple(range(LAYERS + 1))
    with torch.no_grad():
        found = signals.run(model, inputs, Needs(logits=True, cls=every, hidden=every))
        expected = model(**inputs, output_hidden_states=True)
    assert torch.equal(found.logits, expected.logits)
    assert len(expected.hidden_states) == LAYERS + 1
    for layer, state in enumerate(expected.hidden_states):
        assert torch.equal(found.hidden[layer], state)
        assert torch.equal(found.cls[layer], state[:, 0])
    assert torch.equal(found.mask, inputs["attention_mask"].bool())


def test_only_what_was_asked_for_is_kept(model, inputs):
    found = signals.run(model, inputs, Needs(cls=(2,), hidden=(1,), qkv=(3,)))
    assert (set(found.cls), set(found.hidden), set(found.query)) == ({2}, {1}, {3})


def test_queries_keys_and_values_reproduce_the_attention(model, inputs):
    # Oracle: softmax(QK^T / sqrt(d)) V by hand from the signals, through the block's own output
    # projection, residual and LayerNorm, is what the attention module returns.
    block = model.bert.encoder.layer[1]
    returned = []
    handle = block.attention.register_forward_hook(lambda m, a, out: returned.append((a, out)))
    with torch.no_grad():
        found = signals.run(model, inputs, Needs(qkv=(2,), hidden=(1,)))
        handle.remove()
        q, k, v = (
            getattr(found, kind)[2].view(2, 5, HEADS, WIDTH // HEADS).transpose(1, 2)
            for kind in ("query", "key", "value")
        )
        scores = q @ k.transpose(2, 3) / math.sqrt(WIDTH // HEADS)
        scores = scores.masked_fill(~found.mask[:, None, None, :], -torch.inf)
        context = (scores.softmax(-1) @ v).transpose(1, 2).reshape(2, 5, WIDTH)
        expected = block.attention.output(context, found.hidden[1])
    output = returned[0][1]
    torch.testing.assert_close(output[0] if isinstance(output, tuple) else output, expected)


def test_the_signals_carry_gradients(model, inputs):
    found = signals.run(model, inputs, Needs(hidden=(1,), qkv=(1,)))
    (found.hidden[1].sum() + found.key[1].square().sum()).backward()
    assert model.bert.embeddings.word_embeddings.weight.grad.abs().sum() > 0


def test_no_hook_stays(model, inputs):
    signals.run(model, inputs, Needs(cls=(0,), hidden=(1,), qkv=(2,)))
    assert hooks(model) == 0


def test_no_hook_stays_after_a_failed_forward_pass(model, inputs):
    with pytest.raises((RuntimeError, IndexError)):
        signals.run(
            model, {**inputs, "input_ids": inputs["input_ids"] + 1000}, Needs(cls=(0,), qkv=(2,))
        )
    assert hooks(model) == 0


def test_no_hook_stays_after_a_layer_that_is_not_there(model, inputs):
    with pytest.raises(ValueError, match="no block 4 among"):
        signals.run(model, inputs, Needs(cls=(1,), qkv=(LAYERS + 1,)))
    assert hooks(model) == 0


def test_needs_unite_and_name_their_signals():
    both = Needs(logits=True, cls=(4, 2)) | Needs(cls=(2, 1), hidden=(0,), qkv=(6,))
    assert both == Needs(logits=True, cls=(1, 2, 4), hidden=(0,), qkv=(6,))
    assert both.names() == (
        *("logits", "cls.1", "cls.2", "cls.4", "hidden.0"),
        *("query.6", "key.6", "value.6"),
    )
    assert not Needs()


def test_cached_signals_become_float32():
    half = signals.Signals(
        mask=torch.ones(1, 2, dtype=torch.bool), hidden={1: torch.ones(1, 2, 3).half()}
    )
    moved = signals.to_float32(half, "cpu")
    assert moved.hidden[1].dtype == torch.float32
    assert moved.logits is None
    with pytest.raises(ValueError, match="not asked for"):
        moved.scores()
