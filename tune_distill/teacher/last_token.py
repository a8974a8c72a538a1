"""XLNet's head on the last real token, whichever side the padding is on.

Transformers hands the head the states of the last place. XLNet was trained on texts padded on the
left, where that is the <cls> token; padded on the right, as batches are here, it is padding, and
the logits of a row depend on what it is batched with. Nothing else needs the padding on the left:
positions are relative, and padding is masked out of every attention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tune_distill import families

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def read_last_real_token(model: PreTrainedModel) -> PreTrainedModel:
    """Hooks a model whose head reads the last place; any other is returned as it is.

    What is saved of the model doesn't change: whoever loads it has to hook it again.
    """
    family = families.FAMILIES.get(model.config.model_type)
    if family is None or family.reads != "last":
        return model
    head = _Head()
    model.register_forward_pre_hook(head.remember, with_kwargs=True)
    model.get_submodule("sequence_summary").register_forward_pre_hook(head.padding_first)
    return model


class _Head:
    """The mask of the forward pass under way, kept from the model's entry to its head."""

    def __init__(self) -> None:
        self.mask: Tensor | None = None

    def remember(self, module: nn.Module, arguments: Any, named: dict[str, Any]) -> None:  # noqa: ANN401
        self.mask = named.get("attention_mask")

    def padding_first(self, module: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor]:
        """The states (batch, length, width), those of padding moved before the real ones."""
        (states,), mask = arguments, self.mask
        if mask is None:
            return (states,)
        order = torch.argsort(mask.bool().int(), dim=1, stable=True)
        return (states.gather(1, order[..., None].expand_as(states)),)
