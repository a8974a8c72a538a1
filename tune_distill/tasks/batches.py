"""Which rows go into which batch: of similar lengths, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tune_distill.tasks.encoded import Encoded

_WINDOW = 64  # batches that are sorted by length together


def batches(
    encoded: Encoded,
    batch_size: int,
    seed: int,
    epoch: int,
    rows: NDArray[np.int64] | None = None,
) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of each training batch: every row once, the last batch may be small.

    Rows are shuffled, sorted by length within windows of 64 batches, and the batches shuffled. The
    same (seed, epoch) gives the same batches on any machine.

    rows: those to yield, repeats as often as they stand there; None: all
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(np.arange(len(encoded)) if rows is None else rows)
    window = np.arange(len(order)) // (_WINDOW * batch_size)
    order = order[np.lexsort((encoded.lengths[order], window))]
    starts = np.arange(0, len(order), batch_size)
    for start in rng.permutation(starts):
        yield order[start : start + batch_size]


def ordered_batches(encoded: Encoded, token_budget: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of each evaluation batch: every row once, the longest rows first.

    A batch holds at most `token_budget` tokens with its padding, or a single row that is longer.
    What does not fit into memory fails on the first batch. Put results back in order by
    `results[rows] = of_batch`.
    """
    order = np.argsort(-encoded.lengths, kind="stable")
    longest_first = encoded.lengths[order]
    start = 0
    while start < len(order):
        size = max(1, token_budget // int(longest_first[start]))
        yield order[start : start + size]
        start += size
