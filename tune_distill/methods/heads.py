"""What only training has: the projection between a student's width and its teacher's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tune_distill.methods.base import ModelShape


class Projection(nn.Linear):
    """A student's states (..., student's width) in its teacher's width."""

    def start(self, basis: Tensor) -> None:
        """Starts as the map that undoes the student's initialisation.

        A student that is initialised from its teacher has states y = P^T x, for x its teacher's
        (`initialise/width.py`): P y is then the best guess of x there is.

        Args:
            basis: P (teacher's width, student's width).
        """
        with torch.no_grad():
            self.weight.copy_(basis)
            self.bias.zero_()


def projection(teacher: ModelShape, student: ModelShape) -> nn.ModuleDict:
    """A projection under `projection` where the widths differ; else nothing."""
    if teacher.hidden_size == student.hidden_size:
        return nn.ModuleDict()
    return nn.ModuleDict({"projection": Projection(student.hidden_size, teacher.hidden_size)})


def widened(states: Tensor, heads: nn.Module | None) -> Tensor:
    """A student's states in its teacher's width, float32."""
    if isinstance(heads, nn.ModuleDict) and "projection" in heads:
        projected: Tensor = heads["projection"](states.float())
        return projected
    return states.float()
