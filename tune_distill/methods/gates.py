"""LAD's gates: what gathers the teacher's layers into targets (`lad.py` has the equations)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Gates(nn.Module):
    """One gate and one LayerNorm for each of the teacher's blocks but the first."""

    def __init__(self, layers: int, width: int, learning_rate_ratio: float) -> None:
        super().__init__()
        self.learning_rate_ratio = learning_rate_ratio
        gates = [nn.Linear(width, width) for _ in range(layers - 1)]
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers - 1))
        for gate in gates:
            nn.init.xavier_uniform_(gate.weight)
            nn.init.zeros_(gate.bias)
        self.gates = nn.ModuleList(gates)

    def forward(self, states: Sequence[Tensor]) -> list[Tensor]:
        """A[1] ... A[L] of h_T[1] ... h_T[L]: (batch, length, width) each."""
        targets = [states[0]]
        for state, gate, norm in zip(states[1:], self.gates, self.norms, strict=True):
            before = targets[-1]
            share = torch.sigmoid(gate(before))
            targets.append(norm(share * state + (1 - share) * before))
        return targets


def gathered(states: Sequence[Tensor], heads: nn.Module | None) -> list[Tensor]:
    """The targets, by the gates among a method's heads."""
    if not isinstance(heads, nn.ModuleDict):
        raise TypeError("lad needs its gates: the heads that it made")
    targets: list[Tensor] = heads["gates"](states)
    return targets


def variance(targets: Tensor, states: Tensor, where: Tensor) -> Tensor:
    """The variance of targets over tokens, mean over the width, over that of the states."""
    with torch.no_grad():
        spread = [values[where].var(dim=0, correction=0).mean() for values in (targets, states)]
        return spread[0] / spread[1].clamp(min=1e-12)
