"""FLOPs by arithmetic equal those that PyTorch counts while the model runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.tiny import bert
from tune_distill.measure.flops import flops


def counted(model, length):
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
    assert flops(model.config, np.array([length])) == counted(model, length)


def test_flops_are_a_mean_over_examples_not_of_their_mean_length():
    model = bert(2, 16, 2)
    lengths = np.array([2, 30])
    expected = (counted(model, 2) + counted(model, 30)) / 2
    assert flops(model.config, lengths) == expected
    # attention grows with the square of the length: 4 H L = 128 times the variance, 14^2
    assert expected - flops(model.config, np.array([16])) == 128 * 196


def test_a_length_of_a_narrow_integer_type_doesnt_overflow():
    model = bert(1, 16, 2)
    assert flops(model.config, np.array([30], np.uint8)) == counted(model, 30)
