"""Floating point operations of one forward pass at the task's real lengths, by arithmetic.

A multiply-add counts as two. For a text of n tokens, width H, inner width I, C classes:

    L blocks of  8 n H² (Q, K, V, output) + 4 n² H (scores, weighted values) + 4 n H I
    pooler and head, on one token:  2 H² + 2 H C

Left out, as PyTorch's own counter does: embedding look-ups, biases, norms, softmax, activations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


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
