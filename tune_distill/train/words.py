"""A run's table of word embeddings, cut down to the rows that its texts read.

A small student is mostly table: 3.9 of the 4.4 million parameters of two layers of 128 with BERT's
vocabulary. A row that no text reads has no gradient and no moments; all that AdamW does to it is
decay it, p <- (1 - learning rate * decay) p. So while an epoch runs, the table holds the rows that
are read, and the others are decayed at its end, by the product over its updates. What is learned is
the same, up to rounding: the norm that gradients are clipped to is summed without the zeros.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor, nn

from tune_distill.tasks import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class ReadWords:
    """The rows of one run."""

    table: nn.Embedding
    optimizer: torch.optim.Optimizer
    rows: Tensor  # (read,) of the table, ascending
    places: Tensor  # (words,) of each word among `rows`; of one that isn't there, beyond their end
    kept: float = 1.0  # what this epoch's decay has left of the others

    @classmethod
    def of(
        cls, student: PreTrainedModel, data: Encoded, optimizer: torch.optim.Optimizer
    ) -> Self | None:
        """Those that a training split reads; None where it may read any.

        Args:
            student: on the device where it is trained.
            data: that it is trained on.
            optimizer: of all its parameters.
        """
        read = data.words()
        if read is None:
            return None
        table = student.get_input_embeddings()
        if not isinstance(table, nn.Embedding):
            raise TypeError(f"the embeddings of a {type(student).__name__} are no table")
        # Models tell padding by its number, so it and all before it keep theirs.
        last = max(data.pad_id, table.padding_idx or 0)
        used = torch.from_numpy(np.union1d(np.arange(last + 1), read))
        places = torch.full((len(table.weight),), len(used))
        places[used] = torch.arange(len(used))
        device = table.weight.device
        return cls(table, optimizer, used.to(device), places.to(device))

    def renumbered(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """A model's inputs, by the places of their words."""
        return {**inputs, "input_ids": self.places[inputs["input_ids"]]}

    def updated(self) -> None:
        """Notes how far an update has decayed the others."""
        self.kept *= self._decay()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The table without the others within; whole again after, the others decayed."""
        weight = self.table.weight
        whole = weight.data
        moments = self.optimizer.state.get(weight, {})
        # Between epochs, too, and in a checkpoint, the moments are those of the rows alone.
        for name, values in moments.items():
            if values.shape == whole.shape:
                moments[name] = values[self.rows]
        weight.data, self.kept = whole[self.rows], 1.0
        try:
            yield
        finally:
            whole.mul_(self.kept)
            whole[self.rows] = weight.data
            weight.data, weight.grad = whole, None

    def _decay(self) -> float:
        groups = self.optimizer.param_groups
        own = (g for g in groups if any(p is self.table.weight for p in g["params"]))
        return float(math.prod(1.0 - group["lr"] * group["weight_decay"] for group in own))
