"""Dropout at half its price on a CPU.

Drawing a Bernoulli number for each value was a tenth of a training step. Four values can share the
64 bits of one draw: each is dropped where its 16 are among the lowest p * 65,536. What is kept is
scaled by the share that is truly kept, so that the mean is exactly the value. The bits come from
torch's own generator: what holds its state still holds the masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_VALUES = 2**16  # of 16 bits


class _Dropout(nn.Dropout):
    def forward(self, given: Tensor) -> Tensor:
        """The values, some dropped."""
        dropped = round(self.p * _VALUES)
        if not self.training or not 0 < dropped < _VALUES:
            return super().forward(given)
        draws = torch.empty(-(-given.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = draws.view(torch.int16)[: given.numel()].view(given.shape)
        kept = (bits >= dropped - _VALUES // 2).to(given.dtype)
        return given * kept.mul_(_VALUES / (_VALUES - dropped))


@contextmanager
def cheap_dropout(modules: nn.Module, device: str) -> Iterator[None]:
    """Inside, every dropout of these modules draws so; a GPU's are left as they are."""
    every = modules.modules() if device == "cpu" else ()
    plain = [one for one in every if type(one) is nn.Dropout]
    for one in plain:
        one.__class__ = _Dropout
    try:
        yield
    finally:
        for one in plain:
            one.__class__ = nn.Dropout
