"""Floating point operations of one forward pass at the task's real lengths.

Those of a classifier of a student's family come from arithmetic, without building it; a teacher of
another family is counted. A multiply-add counts as two. For a text of n tokens, width H, inner
width I, C classes, and ALBERT's embeddings of width E:

    L blocks of  8 n H² (Q, K, V, output) + 4 n² H (scores, weighted values) + 4 n H I
    ALBERT's factor:  2 n E H
    pooler and head, on one token:  2 H² + 2 H C

Blocks that share their weights are still run each: sharing saves size, not time.
Left out, as PyTorch's own counter does: embedding look-ups, biases, norms, softmax, activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_distill import families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def flops(config: PreTrainedConfig, lengths: NDArray[Any]) -> float:
    """Mean operations of one forward pass over one example.

    Args:
        config: of a classifier of a family of `student.FAMILIES`.
        lengths: (rows,) tokens of each example, special ones included.
    """
    n = np.asarray(lengths, dtype=np.float64)
    hidden, inner, classes = config.hidden_size, families.inner(config) or 0, config.num_labels
    projections = 8 * hidden * hidden * n.mean()
    attention = 4 * hidden * np.square(n).mean()
    feed_forward = 4 * hidden * inner * n.mean()
    once = 2 * hidden * hidden + 2 * hidden * classes
    factor = 2 * config.embedding_size * hidden if config.model_type == "albert" else 0
    blocks = config.num_hidden_layers * getattr(config, "inner_group_num", 1)
    each = projections + attention + feed_forward
    return float(blocks * each + factor * n.mean() + once)


def counted(model: PreTrainedModel, lengths: NDArray[Any]) -> float:
    """The same for a model of any family, as PyTorch counts them while it runs.

    The operations of a transformer are a polynomial of second degree in the length, so three
    lengths tell all others.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    before = model.config._attn_implementation
    model.set_attn_implementation("eager")  # the counter doesn't know every fused kernel
    points, totals = np.array([4.0, 8.0, 16.0]), []
    try:
        for point in points:
            ids = torch.full((1, int(point)), 5, device=model.device)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                model(input_ids=ids, attention_mask=torch.ones_like(ids))
            totals.append(counter.get_total_flops())
    finally:
        model.set_attn_implementation(before)
    constant, linear, square = np.linalg.solve(np.vander(points, increasing=True), totals)
    n = np.asarray(lengths, dtype=np.float64)
    return float(constant + linear * n.mean() + square * np.square(n).mean())
