"""What a model hands a distillation method: logits, CLS vectors, hidden states, Q, K and V.

Everything but the logits is taken by forward hooks, so that any attention implementation serves:
`output_attentions=True` under SDPA returns an empty tuple with a warning, and a loss over it is
silently zero. Layers are numbered as in the papers: 0 is the output of the embeddings, l the
output of block l. Methods that need attention scores or relations build them from Q, K and V.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel


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

    def scores(self) -> Tensor:
        """The logits, for a method that asked for them: (batch, classes)."""
        if self.logits is None:
            raise ValueError("the logits were not asked for in `needs`")
        return self.logits


def run(model: PreTrainedModel, inputs: dict[str, Tensor], needs: Needs) -> Signals:
    """One forward pass over a batch, with what `needs` asks for.

    Args:
        model: a Hugging Face sequence classifier whose blocks are `embeddings` and `encoder.layer`.
        inputs: the keyword arguments of its forward pass: input_ids, attention_mask, ...
        needs: which signals to return.
    """
    signals = Signals(mask=inputs["attention_mask"].bool())
    with _hooked(model, needs, signals):
        signals.logits = model(**inputs).logits
    return signals


@contextmanager
def _hooked(model: PreTrainedModel, needs: Needs, into: Signals) -> Iterator[None]:
    handles = []
    try:
        for layer in sorted({*needs.cls, *needs.hidden}):
            handles.append(
                _states(model, layer).register_forward_hook(_keep_state(layer, needs, into))
            )
        for layer in needs.qkv:
            for kind in ("query", "key", "value"):
                taken = _block(model, layer).get_submodule(f"attention.self.{kind}")
                handles.append(taken.register_forward_hook(_keep(getattr(into, kind), layer)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _keep_state(layer: int, needs: Needs, into: Signals) -> Any:  # noqa: ANN401 - a torch hook
    def hook(module: nn.Module, arguments: object, output: Any) -> None:  # noqa: ANN401
        state = output[0] if isinstance(output, tuple) else output
        if layer in needs.cls:
            into.cls[layer] = state[:, 0]
        if layer in needs.hidden:
            into.hidden[layer] = state

    return hook


def _keep(into: dict[int, Tensor], layer: int) -> Any:  # noqa: ANN401 - a torch hook
    def hook(module: nn.Module, arguments: object, output: Tensor) -> None:
        into[layer] = output

    return hook


def _states(model: PreTrainedModel, layer: int) -> nn.Module:
    if layer == 0:
        return model.base_model.get_submodule("embeddings")
    return _block(model, layer)


def _block(model: PreTrainedModel, layer: int) -> nn.Module:
    return model.base_model.get_submodule(f"encoder.layer.{layer - 1}")


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
