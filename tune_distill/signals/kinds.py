"""The signals that a method asks for, and those of a batch that it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Needs:
    """The signals that a method asks of one model."""

    logits: bool = False
    cls: tuple[int, ...] = ()
    hidden: tuple[int, ...] = ()
    qkv: tuple[int, ...] = ()  # blocks, from 1

    def __or__(self, other: Needs) -> Needs:
        def union(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(sorted({*a, *b}))

        return Needs(
            self.logits or other.logits,
            union(self.cls, other.cls),
            union(self.hidden, other.hidden),
            union(self.qkv, other.qkv),
        )

    def __bool__(self) -> bool:
        return bool(self.logits or self.cls or self.hidden or self.qkv)

    @property
    def of_tokens(self) -> bool:
        """Whether one of them has a value a token, not a row."""
        return bool(self.hidden or self.qkv)

    def names(self) -> tuple[str, ...]:
        """One name a signal, as the cache files them: logits, cls.4, hidden.2, query.6 ..."""
        names = ["logits"] if self.logits else []
        names += [f"cls.{layer}" for layer in self.cls]
        names += [f"hidden.{layer}" for layer in self.hidden]
        names += [f"{kind}.{layer}" for layer in self.qkv for kind in ("query", "key", "value")]
        return tuple(names)


@dataclass
class Signals:
    """The signals of one batch; width is hidden size, of the model that they come from."""

    mask: Tensor  # (batch, length), True at real tokens
    logits: Tensor | None = None  # (batch, classes)
    cls: dict[int, Tensor] = field(default_factory=dict)  # (batch, width)
    hidden: dict[int, Tensor] = field(default_factory=dict)  # (batch, length, width)
    query: dict[int, Tensor] = field(default_factory=dict)  # (batch, length, width)
    key: dict[int, Tensor] = field(default_factory=dict)
    value: dict[int, Tensor] = field(default_factory=dict)
    heads: int = 0  # attention heads of a model that was run; unknown of cached signals

    def scores(self) -> Tensor:
        """The logits, for a method that asked for them: (batch, classes)."""
        if self.logits is None:
            raise ValueError("the logits were not asked for in `needs`")
        return self.logits


def to_float32(signals: Signals, device: torch.device | str) -> Signals:
    """The signals as float32 on `device`; cached ones come as float16."""
    import torch

    def move(tensors: dict[int, Tensor]) -> dict[int, Tensor]:
        return {layer: t.to(device, torch.float32) for layer, t in tensors.items()}

    return Signals(
        mask=signals.mask.to(device),
        logits=None if signals.logits is None else signals.logits.to(device, torch.float32),
        cls=move(signals.cls),
        hidden=move(signals.hidden),
        query=move(signals.query),
        key=move(signals.key),
        value=move(signals.value),
    )
