"""Attention heads of a student, out of those of its teacher.

Over the residual stream a head is two bilinear forms, and its dims only factor them:

    scores  A = W_Qᵀ W_K (softmax(xᵀ A y / √d)),    what is moved  M = W_O W_V

The teacher's dims, head after head, are cut into as many pieces as the student has heads: piece
by piece, a student's head takes what it is made of. Where both have as many heads, a piece is a
head; where the student has fewer, it holds several.

`project` gives a student's head the mean score form of the heads in its piece, each weighted by
its share, and the sum of what they move; both are compressed to the student's dims by SVD.
`slice` first drops the heads that move least, then keeps the dims of each piece with the largest
weights. Either way scores keep the teacher's temperature: forms are multiplied by √(d_S / d_T).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from tune_distill.initialise.width import signs, strongest


@dataclass(frozen=True)
class Attention:
    """The weights of one block's attention, over a student's residual stream."""

    query: Tensor  # (dims, width)
    query_bias: Tensor  # (dims,)
    key: Tensor  # (dims, width)
    key_bias: Tensor
    value: Tensor
    value_bias: Tensor
    output: Tensor  # (width, dims)
    output_bias: Tensor  # (width,)


@dataclass(frozen=True)
class Heads:
    """How many, of how many dims."""

    count: int
    dims: int


def merged(given: Attention, teacher: Heads, student: Heads) -> Attention:
    """The student's heads as compressed mixtures of the teacher's."""
    query = torch.cat([given.query, given.query_bias[:, None]], dim=1)
    queries, keys, values, outputs = [], [], [], []
    for piece in pieces(torch.arange(teacher.count), teacher, student):
        share = torch.bincount(piece // teacher.dims, minlength=teacher.count) / len(piece)
        whole = share.repeat_interleave(teacher.dims).to(query.dtype)
        seen = whole > 0
        scale = whole[seen, None] * (student.dims / teacher.dims) ** 0.5
        # A key's bias adds the same to all scores of a query: softmax doesn't see it.
        left, right = factors(query[seen] * scale, given.key[seen], student.dims)
        queries.append(left)
        keys.append(right)
        left, right = factors(given.value[piece], given.output.T[piece], student.dims)
        values.append(left)
        outputs.append(right)
    both = torch.cat(queries)
    none = torch.zeros_like(both[:, -1])
    return Attention(
        query=both[:, :-1],
        query_bias=both[:, -1],
        key=torch.cat(keys),
        key_bias=none,
        value=torch.cat(values),
        value_bias=none,
        output=torch.cat(outputs).T,
        # A query's weights sum to one: the values' bias reaches the output as it is.
        output_bias=given.output_bias + given.output @ given.value_bias,
    )


def chosen(given: Attention, teacher: Heads, student: Heads) -> Attention:
    """The student's heads as dims of the teacher's."""
    moved = given.output.norm(dim=0) * given.value.norm(dim=1)
    scored = given.query.norm(dim=1) * given.key.norm(dim=1)
    by_head = moved.reshape(teacher.count, teacher.dims).square().sum(1)
    # As many heads as the student has, or more where these are narrower than the student's.
    enough = -(-student.count * student.dims // teacher.dims)
    count = max(min(student.count, teacher.count), enough)
    cut = pieces(strongest(by_head, count), teacher, student)
    scores = torch.cat([piece[strongest(scored[piece], student.dims)] for piece in cut])
    moves = torch.cat([piece[strongest(moved[piece], student.dims)] for piece in cut])
    heads_in_one = max(1.0, len(cut[0]) / teacher.dims)
    scale = ((student.dims / teacher.dims) ** 0.5 / heads_in_one) ** 0.5
    lost = torch.ones(len(moved), dtype=torch.bool).index_fill(0, moves, value=False)
    return Attention(
        query=given.query[scores] * scale,
        query_bias=given.query_bias[scores] * scale,
        key=given.key[scores] * scale,
        key_bias=given.key_bias[scores] * scale,
        value=given.value[moves],
        value_bias=given.value_bias[moves],
        output=given.output[:, moves],
        output_bias=given.output_bias + given.output[:, lost] @ given.value_bias[lost],
    )


def pieces(heads: Tensor, teacher: Heads, student: Heads) -> list[Tensor]:
    """The teacher's dims that each of the student's heads is made of, the dims of `heads` cut.

    Never fewer than the student's head has, as long as `heads` have as many as all of them.

    Args:
        heads: numbers of the teacher's heads, in order.
        teacher: its heads.
        student: its heads.
    """
    dims = (heads[:, None] * teacher.dims + torch.arange(teacher.dims)).flatten()
    ends = [number * len(dims) // student.count for number in range(student.count + 1)]
    return [dims[start:end] for start, end in pairwise(ends)]


def factors(left: Tensor, right: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best factors of leftᵀ right of a lower rank, with equal norms: SVD, by QR of each.

    Args:
        left: (dims, m)
        right: (dims, n)
        rank: at most dims, m and n.

    Returns:
        (rank, m) and (rank, n)
    """
    left_axes, left_rest = torch.linalg.qr(left.T)
    right_axes, right_rest = torch.linalg.qr(right.T)
    u, values, vh = torch.linalg.svd(left_rest @ right_rest.T)
    columns = left_axes @ u[:, :rank]
    root = values[:rank].sqrt() * signs(columns)
    return (columns * root).T, (right_axes @ vh[:rank].T * root).T
