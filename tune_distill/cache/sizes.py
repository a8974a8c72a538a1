"""What the signals of a split weigh, and which of them fit under a limit: arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_distill.signals import Needs
from tune_distill.tasks import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

GB = 10**9


@dataclass(frozen=True)
class Layout:
    """The values of one signal: (rows, width), a row an example or a real token."""

    name: str
    rows: int
    width: int
    dtype: str  # float16, float32 or int64; little-endian on disk

    @property
    def ragged(self) -> bool:
        """Whether a row is a token, not an example."""
        return self.name.partition(".")[0] in ("hidden", "query", "key", "value")

    @property
    def bytes(self) -> int:
        """What the file weighs."""
        return self.rows * self.width * self.numpy.itemsize

    @property
    def numpy(self) -> np.dtype[Any]:
        """The type of the values on disk."""
        return np.dtype(self.dtype).newbyteorder("<")


@dataclass(frozen=True)
class Plan:
    """What is cached and what a live teacher computes, with the bytes of each signal by name."""

    cached: Needs
    live: Needs
    bytes: dict[str, int]

    def total(self) -> int:
        """The bytes of what is cached."""
        return sum(self.bytes[name] for name in self.cached.names())


def plan(needs: Needs, sizes: dict[str, int], limit_gb: float) -> Plan:
    """What of `needs` fits under the limit, the smallest signals first.

    Queries, keys and values of a block are taken together: no method has a use for two of them.

    Args:
        needs: all that a study's methods ask of the teacher.
        sizes: the bytes of each signal, by name.
        limit_gb: 10^9 bytes.
    """
    cached, live, total = Needs(), Needs(), 0
    for unit in sorted(_units(needs), key=lambda unit: _weight(unit, sizes)):
        weight = _weight(unit, sizes)
        if total + weight <= limit_gb * GB:
            cached, total = cached | unit, total + weight
        else:
            live = live | unit
    return Plan(cached, live, sizes)


def layouts(
    needs: Needs, encoded: Encoded, config: PreTrainedConfig, *, exact: bool = False
) -> dict[str, Layout]:
    """The layout of each signal, by name: half precision, but for logits that are to be exact."""
    examples, tokens = len(encoded), int(encoded.offsets[-1])
    found = {}
    for name in needs.names():
        kind = name.partition(".")[0]
        rows = examples if kind in ("logits", "cls") else tokens
        width = int((config.num_labels or 0) if kind == "logits" else config.hidden_size)
        dtype = "float32" if exact and kind == "logits" else "float16"
        found[name] = Layout(name, rows, width, dtype)
    return found


def offsets_layout(encoded: Encoded) -> Layout:
    """The layout of the split's own offsets, by which signals of tokens are read."""
    return Layout("offsets", len(encoded) + 1, 1, "int64")


def _units(needs: Needs) -> list[Needs]:
    return [
        *([Needs(logits=True)] if needs.logits else []),
        *(Needs(cls=(layer,)) for layer in needs.cls),
        *(Needs(hidden=(layer,)) for layer in needs.hidden),
        *(Needs(qkv=(layer,)) for layer in needs.qkv),
    ]


def _weight(unit: Needs, sizes: dict[str, int]) -> int:
    return sum(sizes[name] for name in unit.names())
