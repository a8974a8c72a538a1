"""Mixed precision on a CPU: where it gains, not where it could be had."""

from __future__ import annotations

import pytest
import torch

from tune_distill.train import optimise


@pytest.fixture
def instructions(monkeypatch):
    """A processor with instructions for bf16, asked as if for the first time."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    optimise.cpu_gains_by_bf16.cache_clear()
    yield
    optimise.cpu_gains_by_bf16.cache_clear()


@pytest.mark.parametrize(("bf16", "gains"), [(0.5, True), (0.9, False), (2.0, False)])
@pytest.mark.usefixtures("instructions")
def test_auto_is_bf16_where_its_products_are_clearly_faster(monkeypatch, bf16, gains):
    def seconds(left, right):
        assert left.dtype == right.dtype
        return bf16 if left.dtype == torch.bfloat16 else 1.0

    monkeypatch.setattr(optimise, "_seconds", seconds)
    with optimise.autocast("cpu", "auto"):
        assert torch.is_autocast_enabled("cpu") == gains
    with optimise.autocast("cpu", "bfloat16"):
        assert torch.is_autocast_enabled("cpu")
    with optimise.autocast("cpu", "float32"):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.usefixtures("instructions")
def test_trying_it_draws_no_random_numbers():
    before = torch.get_rng_state()
    optimise.cpu_gains_by_bf16()
    assert (torch.get_rng_state() == before).all()


@pytest.mark.usefixtures("instructions")
def test_without_instructions_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(optimise, "_seconds", lambda *_: pytest.fail("tried"))
    assert not optimise.cpu_gains_by_bf16()
