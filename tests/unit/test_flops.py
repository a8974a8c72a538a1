"""FLOPs by arithmetic equal those that PyTorch counts while the model runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.tiny import bert
from tune_distill.measure.flops import counted, flops


def run_and_counted(model, length):
    model.set_attn_implementation("eager")  # the counter doesn't know the CPU's fused kernel
    inputs = {
        "input_ids": torch.full((1, length), 5),
        "attention_mask": torch.ones(1, length, dtype=torch.long),
    }
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(**inputs)
    return counter.get_total_flops()


@pytest.mark.parametrize("length", [1, 5, 31])
@pytest.mark.parametrize(("layers", "hidden", "heads", "classes"), [(1, 16, 2, 2), (3, 24, 4, 5)])
def test_flops_are_those_that_pytorch_counts(layers, hidden, heads, classes, length):
    model = bert(layers, hidden, heads, classes)
    assert flops(model.config, np.array([length])) == run_and_counted(model, length)


def test_flops_are_a_mean_over_examples_not_of_their_mean_length():
    model = bert(2, 16, 2)
    lengths = np.array([2, 30])
    expected = (run_and_counted(model, 2) + run_and_counted(model, 30)) / 2
    assert flops(model.config, lengths) == expected
    # attention grows with the square of the length: 4 H L = 128 times the variance, 14^2
    assert expected - flops(model.config, np.array([16])) == 128 * 196


def test_a_length_of_a_narrow_integer_type_doesnt_overflow():
    model = bert(1, 16, 2)
    assert flops(model.config, np.array([30], np.uint8)) == run_and_counted(model, 30)


def test_a_model_of_another_family_is_counted_at_any_lengths():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=64
    )
    model = DistilBertForSequenceClassification(config).eval()
    lengths = np.array([3, 10, 41])
    expected = np.mean([run_and_counted(model, int(n)) for n in lengths])
    model.set_attn_implementation("sdpa")
    assert counted(model, lengths) == pytest.approx(expected, rel=1e-9)
    assert model.config._attn_implementation == "sdpa"


def test_counting_a_bert_agrees_with_its_arithmetic():
    lengths = np.array([3, 10, 31])
    model = bert(2, 16, 2)
    assert counted(model, lengths) == pytest.approx(flops(model.config, lengths), rel=1e-9)
