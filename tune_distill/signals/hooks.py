"""Taking signals from a model while it runs, by forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import TYPE_CHECKING, Any

from tune_distill import families
from tune_distill.errors import TeacherError
from tune_distill.signals.kinds import Needs, Signals
from tune_distill.signals.last_block import first_token_alone

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel


def run(
    model: PreTrainedModel, inputs: dict[str, Tensor], needs: Needs, *, whole: bool = False
) -> Signals:
    """One forward pass over a batch, with what `needs` asks for.

    What nobody reads of the last block, all tokens but the first where the head reads that one
    alone, is not computed.

    Args:
        model: a Hugging Face sequence classifier of a family of `families.FAMILIES`; of any other
            where only its logits are asked for.
        inputs: of its forward pass: input_ids, attention_mask, and token_type_ids, which a model
            without types isn't given.
        needs: which signals to return.
        whole: compute it all the same, so that no signal's last bits hang on which others are
            asked for.

    Raises:
        TeacherError: this family doesn't have what is asked for.
    """
    heads = int(model.config.num_attention_heads)
    signals = Signals(mask=inputs["attention_mask"].bool(), heads=heads)
    last = int(model.config.num_hidden_layers)
    whole = whole or last in needs.hidden or last in needs.qkv
    with _hooked(model, needs, signals), nullcontext() if whole else first_token_alone(model):
        signals.logits = model(**families.taken(model, inputs)).logits
    return signals


def lacking(config: PreTrainedConfig, needs: Needs) -> list[str]:
    """The reasons why a model of this config doesn't have these signals; empty if it has."""
    if not (needs.cls or needs.hidden or needs.qkv):
        return []
    if reason := families.unknown(config):
        return [reason]
    if needs.qkv and not families.of(config).parts:
        return [
            f"the attention of a {config.model_type} model is relative, not of queries, keys and "
            "values alone; a method on hidden states or logits works, or a teacher of another "
            "family"
        ]
    return []


@contextmanager
def _hooked(model: PreTrainedModel, needs: Needs, into: Signals) -> Iterator[None]:
    if reasons := lacking(model.config, needs):
        raise TeacherError("; ".join(reasons))
    handles = []
    try:
        for layer in sorted({*needs.cls, *needs.hidden}):
            module, call = _block(model, max(1, layer))
            keep = _at(call, _keep_state(model.config, layer, needs, into))
            if layer == 0:
                handles.append(module.register_forward_pre_hook(keep))
            else:
                handles.append(module.register_forward_hook(keep))
        for layer in needs.qkv:
            module, call = _block(model, layer)
            names = families.of(model.config).parts[:3]
            for kept, name in zip((into.query, into.key, into.value), names, strict=True):
                taken = _at(call, _keep(kept, layer))
                handles.append(module.get_submodule(name).register_forward_hook(taken))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _block(model: PreTrainedModel, layer: int) -> tuple[nn.Module, int]:
    """The module of a block, and which of its calls the block is."""
    path, call = families.block(model.config, layer)
    return model.base_model.get_submodule(path), call


def _at(call: int, keep: Callable[[Any], None]) -> Any:  # noqa: ANN401 - a torch hook
    """A hook, or a hook before, that keeps what one of a module's calls returns, or is given."""
    calls = count()

    def hook(module: nn.Module, *passed: Any) -> None:  # noqa: ANN401 - arguments, output
        if next(calls) == call:
            keep(passed[-1][0] if isinstance(passed[-1], tuple) else passed[-1])

    return hook


def _keep_state(
    config: PreTrainedConfig, layer: int, needs: Needs, into: Signals
) -> Callable[[Tensor], None]:
    family = families.of(config)

    def keep(state: Tensor) -> None:
        state = state.transpose(0, 1) if family.length_first else state
        if layer in needs.cls:
            into.cls[layer] = state[:, 0] if family.reads == "first" else _last(state, into.mask)
        if layer in needs.hidden:
            into.hidden[layer] = state

    return keep


def _last(state: Tensor, mask: Tensor) -> Tensor:
    """The last real token's, of each row: (batch, width)."""
    import torch

    places = torch.arange(mask.shape[1], device=mask.device)
    return state[torch.arange(len(mask), device=mask.device), (mask * places).argmax(dim=1)]


def _keep(into: dict[int, Tensor], layer: int) -> Callable[[Tensor], None]:
    def keep(output: Tensor) -> None:
        into[layer] = output

    return keep
