"""The last block of an encoder, for the one token that the head reads.

A classifier of BERT's kind reads the first token's state and drops the others'. In the last block
these still matter as keys and values, and as nothing else: one query, and output projection, norms
and feed-forward of one token, give the same logits and the same gradient. Five sixths of a block of
BERT's proportions are not computed, in a student of two blocks nearly half of all. In training,
dropout draws for what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tune_distill import families

if TYPE_CHECKING:
    from torch import Tensor, nn


@contextmanager
def first_token_alone(model: nn.Module) -> Iterator[None]:
    """Inside, the last block computes the first token's state, where that is all that is read."""
    attention = _last_attention(model)
    if attention is None:
        yield
        return
    own: nn.Module = attention.get_submodule("self")
    if "forward" in vars(own):  # inside already
        yield
        return
    handle = attention.get_submodule("output").register_forward_pre_hook(_first)
    vars(own)["forward"] = _one_query(own)
    try:
        yield
    finally:
        del vars(own)["forward"]
        handle.remove()


def _first(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(one[:, :1] for one in inputs)  # attention's output, and the block's input


def _one_query(own: nn.Module) -> Callable[..., tuple[Tensor, None]]:
    """Self-attention of the first token: (rows, length, width) to (rows, 1, width)."""
    from torch.nn import functional as F

    query, key, value = (own.get_submodule(name) for name in ("query", "key", "value"))
    dropout = own.get_submodule("dropout")
    heads = int(own.num_attention_heads)  # type: ignore[arg-type]

    def forward(
        hidden_states: Tensor, attention_mask: Tensor | None = None, **_: object
    ) -> tuple[Tensor, None]:
        parts = query(hidden_states[:, :1]), key(hidden_states), value(hidden_states)
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
        # (rows, 1, length, length), or one line of it for all queries
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        dropped = float(dropout.p) if own.training else 0.0  # type: ignore[arg-type]
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
        return found.transpose(1, 2).flatten(2), None

    return forward


def _last_attention(model: nn.Module) -> nn.Module | None:
    """The last block's attention; None unless all is known to be as above."""
    config, kind = getattr(model, "config", None), type(model)
    family = families.FAMILIES.get(getattr(config, "model_type", ""))
    # A head of somebody's own may read every token; Transformers' own are known.
    known = kind.__module__.startswith("transformers.")
    if config is None or family is None or not known or "ForSequenceClass" not in kind.__name__:
        return None
    if family.parts != families.PARTS or family.reads != "first":
        return None
    if config.chunk_size_feed_forward or config._attn_implementation not in ("sdpa", "eager"):
        return None
    block = family.block.format(config.num_hidden_layers - 1)
    return model.get_submodule(f"{family.base}.{block}.attention")
