"""The size of what is exported: its float32 weights, in 10^6 bytes."""

from __future__ import annotations


def size_mb(parameters: int) -> float:
    """10^6 bytes of so many float32 weights."""
    return 4e-6 * parameters
