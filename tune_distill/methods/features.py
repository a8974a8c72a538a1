"""The terms on what happens inside a model: states, attention scores, relations.

    mse(x, y)         mean over real tokens and width of (x - y)^2
    cosine(x, y)      mean over real tokens of 1 - cos(x, y)
    score_mse         mean over heads and pairs of real tokens of (a_S - a_T)^2,  a = Q K^T / sqrt d
    relation_kl       mean over heads and real tokens i of KL(r_T[i] || r_S[i]),
                      r = softmax over real tokens of U V^T / sqrt d

A token is real where both masks say so: padding, and rows that the student reads in other tokens,
are no part of any mean. Everything is float32: a mean of squares loses its digits in half types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from tune_distill.signals import Signals

NOTHING = -1e9  # a score whose softmax is exactly 0; finite, for rows of padding alone


def real(student: Signals, teacher: Signals) -> Tensor:
    """The tokens that both models read: (batch, length)."""
    return student.mask & teacher.mask


def aligned(student: Signals, teacher: Signals) -> Tensor:
    """The rows that both models read in the same tokens: (batch,)."""
    return real(student, teacher).any(dim=1)


def last(signals: Signals) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of the one block that was asked for: (batch, length, width)."""
    (query,), (key,), (value,) = (
        kind.values() for kind in (signals.query, signals.key, signals.value)
    )
    return query, key, value


def mse(student: Tensor, teacher: Tensor, where: Tensor) -> Tensor:
    """Mean squared difference of states.

    Args:
        student: (batch, length, width), or (batch, width) of one token a row.
        teacher: likewise.
        where: (batch, length) or (batch,): what counts.
    """
    squares = (student.float() - teacher.float()).square().mean(dim=-1)
    return _mean(squares, where)


def cosine(student: Tensor, teacher: Tensor, where: Tensor) -> Tensor:
    """Mean of 1 - cos between states: (batch, length, width); `where` (batch, length)."""
    from torch.nn import functional as F

    return _mean(1 - F.cosine_similarity(student.float(), teacher.float(), dim=-1), where)


def unit(states: Tensor) -> Tensor:
    """States of length 1 over the width."""
    from torch.nn import functional as F

    lengths_one: Tensor = F.normalize(states.float(), dim=-1)
    return lengths_one


def scores(left: Tensor, right: Tensor, heads: int) -> Tensor:
    """Scaled products of all pairs of tokens: (batch, heads, length, length).

    Args:
        left: queries, say, of all heads side by side: (batch, length, width).
        right: keys, likewise.
        heads: into which the width is split; it divides it.
    """
    one, other = _split(left, heads), _split(right, heads)
    products: Tensor = one @ other.transpose(-1, -2) / one.shape[-1] ** 0.5
    return products


def score_mse(student: Tensor, teacher: Tensor, where: Tensor) -> Tensor:
    """Mean squared difference of scores before the softmax; `where` (batch, length)."""
    pairs = (where[:, None, :, None] & where[:, None, None, :]).expand_as(student)
    return _mean((student - teacher).square(), pairs)


def relation_kl(student: Tensor, teacher: Tensor, where: Tensor) -> Tensor:
    """Mean KL of the teacher's relations from the student's; both as scores; `where` as above."""
    padding = ~where[:, None, None, :]
    log_p = teacher.masked_fill(padding, NOTHING).log_softmax(dim=-1)
    log_q = student.masked_fill(padding, NOTHING).log_softmax(dim=-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(dim=-1)
    return _mean(kl, where[:, None, :].expand_as(kl))


def _mean(values: Tensor, where: Tensor) -> Tensor:
    return (values * where).sum() / where.sum().clamp(min=1)


def _split(states: Tensor, heads: int) -> Tensor:
    batch, length, width = states.shape
    return states.float().reshape(batch, length, heads, width // heads).transpose(1, 2)
