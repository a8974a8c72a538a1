"""Fixtures that several areas share."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch

from tune_distill.train.words import ReadWords

torch.set_num_threads(1)


@pytest.fixture
def whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain training updates the whole table of words, as hardened training does: bit for bit."""
    monkeypatch.setattr(ReadWords, "of", lambda *_: None)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and models beside the checkout; skips where it is absent."""
    folder = Path(__file__).parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the real data and models are not here")
    return folder
