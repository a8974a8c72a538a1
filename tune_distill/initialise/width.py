"""A narrower residual stream: which directions of the teacher's a student keeps.

Every weight of a BERT reads from the residual stream or writes to it. With P (teacher's width,
student's width), of orthonormal columns, a student's stream stands for y = Pᵀ x, and

    a weight W that reads       W x + b  ->  (W P) y + (b + W (I - P Pᵀ) c)
    a weight W that writes      W u + b  ->  Pᵀ W u + Pᵀ b
    a LayerNorm of gains g and bias c    ->  diag(Pᵀ diag(g) P), Pᵀ c

In the first line c is the bias of the LayerNorm that is read: a constant part of x, of which
nothing has to be lost.
`sliced` keeps coordinates, P being columns of the identity. `projected` keeps the principal
directions of the word embeddings as they enter the first block: what tells words apart. The mean
and the deviation that a LayerNorm takes away aren't quite those of the wider stream; correcting
for either, or principal directions of all layers' states, changed nothing after 300 updates
(docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tune_distill.initialise.names import EMBEDDINGS, FACTOR, POSITIONS, TYPES, WORDS, block
from tune_distill.initialise.report import How


@dataclass(frozen=True)
class Stream:
    """How a student's residual stream comes from its teacher's."""

    how: How
    basis: Tensor  # P (teacher's width, student's width), float64

    @property
    def whole(self) -> bool:
        """Whether it is the teacher's own, untouched."""
        return self.how == "copied"

    def read(self, weight: Tensor) -> Tensor:
        """A weight that reads the stream: (..., teacher's width) -> (..., student's width)."""
        return weight if self.whole else weight.double() @ self.basis

    def read_bias(self, weight: Tensor, bias: Tensor, constant: Tensor) -> Tensor:
        """The bias beside it, with what the lost directions always add.

        Args:
            weight: as the teacher has it, (out, teacher's width).
            bias: (out,)
            constant: the bias of the LayerNorm that is read, (teacher's width,).
        """
        if self.whole:
            return bias
        lost = constant.double() - self.basis @ (self.basis.T @ constant.double())
        return bias.double() + weight.double() @ lost

    def write(self, weight: Tensor) -> Tensor:
        """A weight or a bias that writes to the stream, by its first dimension."""
        return weight if self.whole else self.basis.T @ weight.double()

    def scale(self, weight: Tensor) -> Tensor:
        """The gains of a LayerNorm."""
        return weight if self.whole else self.basis.square().T @ weight.double()


def kept(width: int) -> Stream:
    """The teacher's own stream."""
    return Stream("copied", torch.eye(width, dtype=torch.float64))


def sliced(weights: Mapping[str, Tensor], width: int) -> Stream:
    """The coordinates that the teacher's blocks read and write with the largest weights.

    Args:
        weights: the teacher's, by the names of `names.py`.
        width: the student's.
    """
    norms = torch.zeros_like(weights[f"{block(1)}output.LayerNorm.bias"], dtype=torch.float64)
    for name, weight in weights.items():
        if ".layer." in name and weight.ndim == 2:
            writes = name.endswith("output.dense.weight")
            norms += weight.double().square().sum(dim=1 if writes else 0)
    basis = torch.eye(len(norms), dtype=torch.float64)[:, strongest(norms, width)]
    return Stream("sliced", basis)


def projected(weights: Mapping[str, Tensor], width: int) -> Stream:
    """The principal directions of the word embeddings, as they enter the first block.

    Args:
        weights: the teacher's, by the names of `names.py`.
        width: the student's.
    """
    return principal(entering(weights), width)


def principal(vectors: Tensor, width: int) -> Stream:
    """The directions that hold most of what tells vectors (rows, teacher's width) apart."""
    vectors = vectors - vectors.mean(0)
    covariance = (vectors.T @ vectors).double() / len(vectors)
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :width]
    return Stream("projected", directions * signs(directions))


def entering(
    weights: Mapping[str, Tensor], eps: float = 1e-5, *, everywhere: bool = False
) -> Tensor:
    """All words as they enter the first block: (vocabulary, hidden size). Arguments as `normed`."""
    words = normed(weights, eps, everywhere=everywhere)
    if f"{FACTOR}.weight" not in weights:
        return words
    factor, bias = (weights[f"{FACTOR}.{kind}"].float() for kind in ("weight", "bias"))
    return words @ factor.T + bias


def normed(weights: Mapping[str, Tensor], eps: float = 1e-5, *, everywhere: bool = False) -> Tensor:
    """All words after the embeddings' LayerNorm: (vocabulary, width).

    Args:
        weights: the teacher's, by the names of `names.py`.
        eps: of the LayerNorm.
        everywhere: at all positions in turn, one a word; else at the mean one.
    """
    words, positions = weights[WORDS].float(), weights[POSITIONS].float()
    if TYPES in weights:
        words = words + weights[TYPES][0].float()
    if everywhere:
        words = words + positions[torch.arange(len(words)) % len(positions)]
    else:
        words = words + positions.mean(0)
    gains, bias = (weights[f"{EMBEDDINGS}LayerNorm.{kind}"].float() for kind in ("weight", "bias"))
    return torch.nn.functional.layer_norm(words, words.shape[-1:], gains, bias, eps)


def strongest(scores: Tensor, count: int) -> Tensor:
    """The places of the largest scores, in their own order; of equal ones, the first."""
    return scores.argsort(descending=True, stable=True)[:count].sort().values


def signs(columns: Tensor) -> Tensor:
    """1 or -1 for each column, to make its largest entry positive: a solver's choice undone."""
    largest = columns.abs().argmax(dim=0, keepdim=True)
    return torch.where(columns.gather(0, largest)[0] < 0, -1.0, 1.0)
