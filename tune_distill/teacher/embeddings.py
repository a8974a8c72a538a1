"""A model with fewer tokens: the rows of its embeddings that a smaller vocabulary keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from numpy.typing import NDArray
from torch import nn

from tune_distill import families

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedConfig, PreTrainedModel


@torch.no_grad()
def keep_tokens(model: PreTrainedModel, kept: NDArray[np.int64], pad_id: int) -> None:
    """Takes all other tokens out of a model, in place.

    Args:
        model: of any family; frozen.
        kept: (tokens,) the rows that stay, in their new order.
        pad_id: the new number of the padding token.
    """
    before = families.offset(model.config)
    renumber(model.config, kept, pad_id)
    _take(cast("nn.Embedding", model.get_input_embeddings()), kept, pad_id)
    surplus = before - families.offset(model.config)
    if surplus:  # RoBERTa counts positions from the padding token's number on
        embeddings = cast("Any", model.base_model.embeddings)
        table = cast("nn.Embedding", embeddings.position_embeddings)
        _take(table, torch.arange(surplus, table.num_embeddings).numpy(), pad_id)
        embeddings.padding_idx = pad_id


def renumber(config: PreTrainedConfig, kept: NDArray[np.int64], pad_id: int) -> None:
    """Says in a config, in place, that these tokens are left; arguments as of `keep_tokens`."""
    before = families.offset(config)
    place = {number: new for new, number in enumerate(kept.tolist())}
    for name, number in config.to_dict().items():
        if name.endswith("_token_id") and number is not None:
            setattr(config, name, place.get(number))
    config.pad_token_id = pad_id
    config.vocab_size = len(kept)
    if surplus := before - families.offset(config):
        config.max_position_embeddings -= surplus


def _take(table: nn.Embedding, rows: NDArray[np.int64], pad_id: int) -> None:
    table.weight = nn.Parameter(table.weight[torch.from_numpy(rows)], requires_grad=False)
    table.num_embeddings = len(rows)
    if table.padding_idx is not None:
        table.padding_idx = pad_id
