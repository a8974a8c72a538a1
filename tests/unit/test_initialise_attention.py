"""Heads of a student: what they compute, against the teacher's, by running attention by hand."""

from __future__ import annotations

import math

import pytest
import torch

from tune_distill.initialise.attention import Attention, Heads, chosen, factors, merged, pieces

WIDTH = 10


def random(heads, seed=0):
    """Attention of these heads over a stream of WIDTH."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    dims = heads.count * heads.dims
    rows = [normal(dims, WIDTH) if i % 2 == 0 else normal(dims) for i in range(6)]
    return Attention(*rows, output=normal(WIDTH, dims), output_bias=normal(WIDTH))


def run(own, heads, states):
    """What the attention of a block adds to states (length, WIDTH): BERT's, head by head."""
    query = states @ own.query.T + own.query_bias
    key = states @ own.key.T + own.key_bias
    value = states @ own.value.T + own.value_bias
    total = own.output_bias.expand(len(states), -1)
    for head in range(heads.count):
        dims = slice(head * heads.dims, (head + 1) * heads.dims)
        scores = query[:, dims] @ key[:, dims].T / math.sqrt(heads.dims)
        total = total + scores.softmax(-1) @ value[:, dims] @ own.output[:, dims].T
    return total


STATES = torch.randn(6, WIDTH, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def low_rank(heads, rank):
    """Heads whose forms have this rank, though no dim of theirs is zero."""
    own, mixed = random(heads), {}
    generator = torch.Generator().manual_seed(5)
    for name in ("query", "key", "value"):
        few = getattr(own, name).reshape(heads.count, heads.dims, WIDTH)[:, :rank]
        mixing = torch.randn(heads.dims, rank, generator=generator, dtype=torch.float64)
        mixed[name] = (mixing @ few).reshape(-1, WIDTH)
        bias = getattr(own, f"{name}_bias").reshape(heads.count, heads.dims)[:, :rank]
        mixed[f"{name}_bias"] = (bias @ mixing.T).flatten()
    return Attention(**mixed, output=own.output, output_bias=own.output_bias)


def test_compressed_heads_compute_the_same_where_their_rank_allows_it():
    teacher, student = Heads(3, 6), Heads(3, 2)
    own = low_rank(teacher, rank=2)
    found = run(merged(own, teacher, student), student, STATES)
    torch.testing.assert_close(found, run(own, teacher, STATES))


def test_two_heads_that_look_alike_become_one():
    teacher, student = Heads(4, 4), Heads(2, 4)
    own = low_rank(teacher, rank=2)  # what two of them move has rank 4: one head's dims
    twin = {}
    for name in ("query", "query_bias", "key", "key_bias"):
        rows = getattr(own, name).reshape(4, 4, -1)
        twin[name] = rows[[0, 0, 2, 2]].reshape(getattr(own, name).shape)
    both = Attention(
        **twin,
        value=own.value,
        value_bias=own.value_bias,
        output=own.output,
        output_bias=own.output_bias,
    )
    found = run(merged(both, teacher, student), student, STATES)
    torch.testing.assert_close(found, run(both, teacher, STATES))


def test_as_many_dims_in_more_heads_move_the_same():
    # Without scores every query takes the mean of the values: what is moved alone counts.
    teacher, student = Heads(2, 4), Heads(4, 2)
    own = random(teacher)
    blind = Attention(**{**vars(own), "query": 0 * own.query, "query_bias": 0 * own.query_bias})
    for change in (merged, chosen):
        found = run(change(blind, teacher, student), student, STATES)
        torch.testing.assert_close(found, run(blind, teacher, STATES))


def test_chosen_dims_compute_the_same_where_the_others_are_zero():
    teacher, student = Heads(4, 4), Heads(2, 2)
    own = {name: tensor.clone() for name, tensor in vars(random(teacher)).items()}
    idle = torch.ones(16, dtype=torch.bool).index_fill(0, torch.tensor([5, 7, 8, 10]), value=False)
    for name in ("query", "query_bias", "key", "key_bias", "value", "value_bias"):
        own[name][idle] = 0
    own["output"][:, idle] = 0
    given = Attention(**own)
    found = run(chosen(given, teacher, student), student, STATES)
    torch.testing.assert_close(found, run(given, teacher, STATES))


def test_the_values_bias_of_dropped_heads_still_reaches_the_output():
    teacher, student = Heads(4, 3), Heads(1, 3)
    own = random(teacher)
    still = Attention(**{**vars(own), "value": 0 * own.value})
    for change in (merged, chosen):
        found = run(change(still, teacher, student), student, STATES)
        torch.testing.assert_close(found, run(still, teacher, STATES))


def test_the_heads_that_move_least_are_dropped():
    teacher, student = Heads(3, 2), Heads(2, 2)
    own = random(teacher)
    weak = own.output.clone()
    weak[:, 2:4] *= 1e-3  # head 1
    found = chosen(Attention(**{**vars(own), "output": weak}), teacher, student)
    assert torch.equal(found.value, own.value[[0, 1, 4, 5]])
    assert torch.equal(found.query, own.query[[0, 1, 4, 5]])  # as many dims: nothing to rescale


SHAPES = [
    (Heads(12, 32), Heads(4, 32), [96] * 4),
    (Heads(12, 32), Heads(12, 26), [32] * 12),
    (Heads(12, 32), Heads(2, 64), [192] * 2),
    (Heads(12, 32), Heads(8, 48), [48] * 8),
    (Heads(12, 32), Heads(16, 8), [24] * 16),
    (Heads(2, 32), Heads(3, 20), [21, 21, 22]),
]


@pytest.mark.parametrize(("teacher", "student", "sizes"), SHAPES)
def test_the_teachers_dims_are_cut_evenly_and_all_of_them(teacher, student, sizes):
    cut = pieces(torch.arange(teacher.count), teacher, student)
    assert [len(piece) for piece in cut] == sizes
    assert torch.equal(torch.cat(cut), torch.arange(teacher.count * teacher.dims))


@pytest.mark.parametrize("seed", range(3))
def test_the_factors_are_the_best_of_their_rank(seed):
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.randn(6, n, generator=generator, dtype=torch.float64) for n in (11, 9))
    first, second = factors(left, right, 4)
    assert first.shape == (4, 11)
    assert second.shape == (4, 9)
    # Eckart and Young: the error is the singular values left out
    lost = torch.linalg.svdvals(left.T @ right)[4:].square().sum().sqrt()
    error = torch.linalg.matrix_norm(left.T @ right - first.T @ second)
    torch.testing.assert_close(error, lost)
    torch.testing.assert_close(first.norm(dim=1), second.norm(dim=1))
