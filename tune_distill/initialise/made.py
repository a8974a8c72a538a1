"""A teacher as it is read, and a student's tensors as they are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tune_distill.initialise.names import EMBEDDINGS, FACTOR, block
from tune_distill.initialise.report import How
from tune_distill.initialise.width import Stream


@dataclass(frozen=True)
class Made:
    """What one of the student's tensors starts as, and what it was made of."""

    value: Tensor
    how: How
    source: str  # the teacher's tensors, joined by " + "; nothing of a new one


Tensors = Iterator[tuple[str, Made]]  # by the names of `names.py`


@dataclass(frozen=True)
class Source:
    """The teacher, and how the student takes from it."""

    weights: Mapping[str, Tensor]  # by the names of `names.py`
    heads: int
    stream: Stream
    width: Literal["slice", "project"]
    eps: float = 1e-12  # of the LayerNorms
    multiplied_out: bool = False  # whether the tables have the factor in them

    def constant(self, layer: int) -> Tensor:
        """The constant part of what a block writes to the stream; of the embeddings for 0."""
        before = f"{block(layer)}output." if layer else EMBEDDINGS
        bias = self.weights[f"{before}LayerNorm.bias"]
        if layer == 0 and f"{FACTOR}.weight" in self.weights:
            return self.weights[f"{FACTOR}.weight"] @ bias + self.weights[f"{FACTOR}.bias"]
        return bias


def norm(weights: Mapping[str, Tensor], stream: Stream, name: str, target: str) -> Tensors:
    """A LayerNorm of a stream."""
    for kind, take in (("weight", stream.scale), ("bias", stream.write)):
        source = f"{name}.{kind}"
        yield f"{target}.{kind}", Made(take(weights[source]), stream.how, source)


def shared(made: Sequence[Made]) -> Made:
    """One tensor for several blocks: the mean of what each would have started from."""
    first = made[0]
    sources = dict.fromkeys(one.source for one in made)
    if len(sources) == 1:
        return first
    mean = torch.stack([one.value.double() for one in made]).mean(0)
    return Made(mean, "merged", " + ".join(sources))
