"""The student's embeddings: tables, their LayerNorm, and ALBERT's factor.

A teacher's first block is given x = LN(word + position + type), or x = F LN(...) + f where its
embeddings are narrower than its blocks (ALBERT, ELECTRA); a student's is to be given y = Pᵀ x.

    both without a factor    tables and LayerNorm as all that is written to the stream (`width`)
    both with one            tables E wide or their principal directions, and Pᵀ F
    the student alone        tables along Q, the E principal directions of x, then the F and f with
                             which they come closest to Pᵀ x: least squares over the vocabulary,
                             at all positions in turn. At the mean position alone a student
                             loses where its words are (docs/LOG.md)
    the teacher alone        F multiplied out: tables times the linear part of F LN. The scale of
                             each token is left to the student's LayerNorm, whose gains and bias
                             are fitted to x over the vocabulary: close, but never exact

Where a student has no token types (DistilBERT), the first is added to the positions: nothing
changes for single texts. Where its teacher has none, they are zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tune_distill import families
from tune_distill.initialise.made import Made, Source, Tensors, norm
from tune_distill.initialise.names import EMBEDDINGS, FACTOR, PADDED, POSITIONS, TYPES, WORDS
from tune_distill.initialise.report import How
from tune_distill.initialise.width import Stream, entering, kept, normed, principal

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def embeddings(given: Source, student: PreTrainedConfig) -> Tensors:
    """All that a student has before its first block."""
    stream = _stream(given, student)
    made = dict(_tables(given, stream, student))
    made |= norm(given.weights, stream, f"{EMBEDDINGS}LayerNorm", f"{EMBEDDINGS}LayerNorm")
    if families.of(student).factor:
        made |= _factor(given, stream, {name: one.value for name, one in made.items()})
    yield from made.items()


def multiplied_out(weights: Mapping[str, Tensor], eps: float) -> dict[str, Tensor]:
    """A teacher's tensors with embeddings as wide as its blocks, and no factor.

    Args:
        weights: with a factor.
        eps: of the teacher's LayerNorms.
    """
    factor = weights[f"{FACTOR}.weight"].double()
    linear = factor * weights[f"{EMBEDDINGS}LayerNorm.weight"].double()
    linear = linear - linear.mean(dim=1, keepdim=True)  # a LayerNorm takes the mean away first
    tables = {
        name: weights[name].double() @ linear.T
        for name in (WORDS, POSITIONS, PADDED, TYPES)
        if name in weights
    }
    # As large as they were: what LayerNorm makes of them is the same, what an update changes isn't.
    scale = weights[WORDS].double().std() / tables[WORDS].std()
    made = {name: tensor for name, tensor in weights.items() if not name.startswith(FACTOR)}
    made |= {name: (table * scale).float() for name, table in tables.items()}
    made[f"{EMBEDDINGS}LayerNorm.weight"] = torch.ones(len(factor))
    made[f"{EMBEDDINGS}LayerNorm.bias"] = torch.zeros(len(factor))
    plain = normed(made, eps, everywhere=True).double()
    wanted = entering(weights, eps, everywhere=True).double()
    centred = plain - plain.mean(0)
    gains = (centred * (wanted - wanted.mean(0))).sum(0) / centred.square().sum(0)
    made[f"{EMBEDDINGS}LayerNorm.weight"] = gains.float()
    made[f"{EMBEDDINGS}LayerNorm.bias"] = (wanted.mean(0) - gains * plain.mean(0)).float()
    return made


def _stream(given: Source, student: PreTrainedConfig) -> Stream:
    """How a student's embeddings come from its teacher's."""
    if not families.of(student).factor:
        return given.stream
    if student.embedding_size == given.weights[WORDS].shape[1]:
        return kept(student.embedding_size)
    words = normed(given.weights, given.eps, everywhere=True)
    return principal(words, student.embedding_size)


def _tables(given: Source, stream: Stream, student: PreTrainedConfig) -> Tensors:
    weights, types = given.weights, getattr(student, "type_vocab_size", 0)
    how: How = "merged" if given.multiplied_out else stream.how
    factor = f" + {FACTOR}.weight" if given.multiplied_out else ""
    yield WORDS, Made(stream.read(weights[WORDS]), how, WORDS + factor)
    rows, source = weights[POSITIONS], POSITIONS + factor
    if TYPES in weights and types:
        yield TYPES, Made(stream.read(weights[TYPES][:types]), how, TYPES + factor)
    elif TYPES in weights:
        rows, source = rows + weights[TYPES][0], f"{POSITIONS} + {TYPES}{factor}"
    elif types:
        yield TYPES, Made(rows.new_zeros(types, stream.basis.shape[1]), "new", "")
    before = _before(weights, families.offset(student))
    value = stream.read(torch.cat([before, rows]))
    yield POSITIONS, Made(value, "merged" if " + " in source else how, source)


def _before(weights: Mapping[str, Tensor], count: int) -> Tensor:
    """The rows of a table of positions that no token has: the teacher's, or zero."""
    rows = weights.get(PADDED, weights[POSITIONS][:0])
    return rows if len(rows) == count else rows.new_zeros(count, rows.shape[1])


def _factor(given: Source, stream: Stream, own: Mapping[str, Tensor]) -> Tensors:
    """From a student's embeddings, as its own tensors make them, to its blocks."""
    weights, outer = given.weights, given.stream
    how, sources = outer.how, (f"{FACTOR}.weight", f"{FACTOR}.bias")
    if sources[0] not in weights or not stream.whole:
        how, sources = "projected", (WORDS, WORDS)
    if not stream.whole:
        wanted = outer.read(entering(weights, given.eps, everywhere=True))
        weight, bias = _fitted(normed(own, given.eps, everywhere=True), wanted)
    elif f"{FACTOR}.weight" in weights:
        weight, bias = (outer.write(weights[f"{FACTOR}.{kind}"]) for kind in ("weight", "bias"))
    else:  # as wide as the teacher's stream
        weight, bias = outer.basis.T, torch.zeros(outer.basis.shape[1])
    yield f"{FACTOR}.weight", Made(weight, how, sources[0])
    yield f"{FACTOR}.bias", Made(bias, how, sources[1])


def _fitted(given: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The F and f for which F given + f is closest to wanted, over all rows.

    Args:
        given: (rows, E); a LayerNorm leaves it E - 1 dimensions, so that many F are as good, of
            which this is the smallest.
        wanted: (rows, width)

    Returns:
        (width, E) and (width,)
    """
    given, wanted = given.double(), wanted.double()
    means = given.mean(0), wanted.mean(0)
    given, wanted = given - means[0], wanted - means[1]
    solution = torch.linalg.pinv(given.T @ given, hermitian=True, rtol=1e-9) @ (given.T @ wanted)
    return solution.T, means[1] - solution.T @ means[0]
