"""Where each tensor of a student comes from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from torch import Tensor

# merged: of several of the teacher's; new: of none, so random, or zero where that is no change
How = Literal["copied", "sliced", "projected", "merged", "new"]


@dataclass(frozen=True)
class Row:
    """One tensor of the student."""

    name: str
    shape: tuple[int, ...]
    how: How
    source: str | None = None  # the teacher's tensor or, joined by +, tensors; none of a new one


@dataclass(frozen=True)
class Report:
    """Every tensor of a student once, in the order of its state dict."""

    rows: tuple[Row, ...]
    basis: Tensor | None = None  # what the student's states are of its source's, if not new

    @property
    def tensors(self) -> Mapping[How, int]:
        """How many tensors came each way."""
        return Counter(row.how for row in self.rows)

    @property
    def parameters(self) -> Mapping[How, int]:
        """How many parameters came each way."""
        counts: Counter[How] = Counter()
        for row in self.rows:
            counts[row.how] += math.prod(row.shape)
        return counts

    def to_rows(self) -> list[dict[str, str]]:
        """A table of text: name, shape, how, source."""
        return [
            {
                "name": row.name,
                "shape": " x ".join(map(str, row.shape)),
                "how": row.how,
                "source": row.source or "",
            }
            for row in self.rows
        ]

    def __str__(self) -> str:
        """In one line: `41 tensors: 39 projected (... parameters), 2 new (258 parameters)`."""
        tensors, parameters = self.tensors, self.parameters
        parts = [
            f"{tensors[how]} {how} ({parameters[how]:,} parameters)"
            for how in get_args(How)
            if tensors[how]
        ]
        return f"{len(self.rows)} tensors: {', '.join(parts)}"
