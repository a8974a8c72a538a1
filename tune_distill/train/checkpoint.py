"""A run that can stop at an epoch's end and go on: its state, and the file that keeps it."""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tune_distill.files import write_atomically

CHECKPOINT = "training.ckpt"
DIGEST_BYTES = 32


@dataclass
class Run:
    """What an update changes, and so what a checkpoint holds."""

    modules: nn.ModuleDict  # student, the method's heads, the defence's modules
    optimizers: tuple[torch.optim.Optimizer, ...]
    epoch: int = 0
    updates: int = 0

    def state(self) -> dict[str, Any]:
        """All of it, as `load` takes it."""
        return {
            "modules": self.modules.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "epoch": self.epoch,
            "updates": self.updates,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a state."""
        self.modules.load_state_dict(state["modules"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.epoch, self.updates = state["epoch"], state["updates"]


def save(run: Run, folder: Path) -> None:
    """Writes the state behind its own digest: torch.load takes a flipped byte for a weight."""
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    torch.save(run.state(), content)
    payload = content.getvalue()
    write_atomically(folder / CHECKPOINT, _digest(payload) + payload)


def resume(run: Run, folder: Path, device: str) -> None:
    """Loads the state of the last finished epoch; a damaged one is as good as none."""
    try:
        raw = (folder / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return
    digest, payload = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
    if digest == _digest(payload):
        try:
            state = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
        except pickle.UnpicklingError:  # holds more than numbers, and so was not written here
            return
        run.load(state)


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=DIGEST_BYTES).digest()
