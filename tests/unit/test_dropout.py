"""Dropout by 16 bits a value, against what dropout is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tune_distill.train.dropout import cheap_dropout


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5])
def test_values_are_dropped_with_their_probability_and_their_mean_stays(p):
    module = nn.Dropout(p)
    given = torch.full((401, 503), 2.0, requires_grad=True)
    torch.manual_seed(5)
    with cheap_dropout(module, "cpu"):
        found = module(given)
    found.sum().backward()
    kept = found != 0
    # 201,703 draws: a share's standard deviation is below 0.0012; 5 of them.
    assert float((~kept).float().mean()) == pytest.approx(p, abs=0.006)
    # 1 / (1 - p) to the 16 bits of p.
    torch.testing.assert_close(
        found[kept], torch.full_like(found[kept], 2 / (1 - p)), rtol=2e-5, atol=0
    )
    torch.testing.assert_close(given.grad, found.detach() / 2)


def test_the_four_values_of_a_draw_are_independent():
    module = nn.Dropout(0.5)
    torch.manual_seed(6)
    with cheap_dropout(module, "cpu"):
        kept = (module(torch.ones(4 * 50_000)) != 0).double().view(-1, 4)
    # A correlation of 50,000 pairs has a standard deviation of 0.0045; 5 of them.
    assert (torch.corrcoef(kept.T) - torch.eye(4)).abs().max() < 0.023


def test_the_same_state_of_the_generator_drops_the_same():
    module = nn.Dropout(0.3)
    with cheap_dropout(module, "cpu"):
        torch.manual_seed(7)
        first = module(torch.ones(1001))
        torch.manual_seed(7)
        assert torch.equal(module(torch.ones(1001)), first)
        assert not torch.equal(module(torch.ones(1001)), first)


@pytest.mark.parametrize(("p", "left"), [(0.0, 1.0), (1.0, 0.0)])
def test_none_and_all(p, left):
    module = nn.Dropout(p)
    with cheap_dropout(module, "cpu"):
        assert (module(torch.ones(9)) == left).all()


def test_nothing_is_dropped_in_eval_mode_and_bf16_stays_bf16():
    module = nn.Dropout(0.5)
    with cheap_dropout(module, "cpu"):
        assert module(torch.ones(9, dtype=torch.bfloat16)).dtype == torch.bfloat16
        assert (module.eval()(torch.ones(9)) == 1).all()


def test_outside_modules_are_as_they_were():
    class Own(nn.Dropout):
        pass

    modules = nn.Sequential(nn.Dropout(0.1), Own(0.1))
    with cheap_dropout(modules, "cpu"):
        assert type(modules[0]) is not nn.Dropout
        assert type(modules[1]) is Own
    assert type(modules[0]) is nn.Dropout
    with cheap_dropout(modules, "cuda:0"):
        assert type(modules[0]) is nn.Dropout
    with pytest.raises(ZeroDivisionError), cheap_dropout(modules, "cpu"):
        _ = 1 / 0
    assert type(modules[0]) is nn.Dropout
