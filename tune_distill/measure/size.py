"""The size of what is exported: its float32 weights, in 10^6 bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_distill.student import parameters

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def size_mb(config: PreTrainedConfig) -> float:
    """10^6 bytes of a BERT classifier's weights, by arithmetic."""
    return 4e-6 * parameters(config)
