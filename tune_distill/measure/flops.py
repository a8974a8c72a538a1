"""Floating point operations of one forward pass at the task's real lengths.

A BERT classifier's come from arithmetic, without building it; a teacher of another family is
counted. A multiply-add counts as two. For a text of n tokens, width H, inner width I, C classes:

    L blocks of  8 n H² (Q, K, V, output) + 4 n² H (scores, weighted values) + 4 n H I
    pooler and head, on one token:  2 H² + 2 H C

Left out, as PyTorch's own counter does: embedding look-ups, biases, norms, softmax, activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def flops(config: PreTrainedConfig, lengths: NDArray[Any]) -> float:
    """Mean operations of one forward pass over one example.

    Args:
        config: of a BERT classifier.
        lengths: (rows,) tokens of each example, special ones included.
    """
    n = np.asarray(lengths, dtype=np.float64)
    hidden, inner, classes = config.hidden_size, config.intermediate_size, config.num_labels
    projections = 8 * hidden * hidden * n.mean()
    attention = 4 * hidden * np.square(n).mean()
    feed_forward = 4 * hidden * inner * n.mean()
    once = 2 * hidden * hidden + 2 * hidden * classes
    return float(config.num_hidden_layers * (projections + attention + feed_forward) + once)


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
