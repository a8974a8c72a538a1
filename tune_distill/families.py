"""How the families of models differ: where their parts lie, and under which names.

One row a family, keyed by Hugging Face's `model_type`. Parts are named as BERT names them. The
table serves all who look inside a model: `signals` (hooks), `initialise` (weights), `student`
(what a config takes from another's). Modules are looked up in transformers 5's own classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from tune_distill.errors import TeacherError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig

# The modules of a block, in BERT's names.
PARTS = (
    *("attention.self.query", "attention.self.key", "attention.self.value"),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
)
POSITIONS = 512  # of a student whose teacher has none of its own: BERT's


@dataclass(frozen=True)
class Family:
    """The layout of a sequence classifier; names are paths of modules, from the classifier on."""

    base: str  # the encoder
    block: str = "encoder.layer.{}"  # inside the encoder; of a shared one, by its group
    parts: tuple[str, ...] = PARTS  # inside a block, in the order of PARTS; none: not BERT's parts
    pooler: str = "classifier.dense"  # the first of the head's two layers
    classifier: str = "classifier"  # the second
    activation: Literal["tanh", "relu", "gelu"] = "tanh"  # between them
    factor: str = ""  # inside the encoder: from the embeddings' width to the hidden size
    first_position: bool = False  # whether positions are counted from the padding's number on
    length_first: bool = False  # (length, batch, width) inside
    reads: Literal["first", "last"] = "first"  # the token that the head reads


_ROBERTA = Family("roberta", classifier="classifier.out_proj", first_position=True)
FAMILIES = {
    "bert": Family("bert", pooler="bert.pooler.dense"),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Family(
        "distilbert",
        block="transformer.layer.{}",
        parts=(
            *("attention.q_lin", "attention.k_lin", "attention.v_lin"),
            *("attention.out_lin", "sa_layer_norm"),
            *("ffn.lin1", "ffn.lin2", "output_layer_norm"),
        ),
        pooler="pre_classifier",
        activation="relu",
    ),
    "albert": Family(
        "albert",
        block="encoder.albert_layer_groups.{}.albert_layers.0",
        parts=(
            *("attention.query", "attention.key", "attention.value"),
            *("attention.dense", "attention.LayerNorm"),
            *("ffn", "ffn_output", "full_layer_layer_norm"),
        ),
        pooler="albert.pooler",
        factor="encoder.embedding_hidden_mapping_in",
    ),
    "electra": Family(
        "electra",
        classifier="classifier.out_proj",
        activation="gelu",
        factor="embeddings_project",  # only where the widths differ
    ),
    "xlnet": Family(
        "transformer",
        block="layer.{}",
        parts=(),
        pooler="sequence_summary.summary",
        classifier="logits_proj",
        length_first=True,
        reads="last",
    ),
}


def of(config: PreTrainedConfig) -> Family:
    """The layout of a model.

    Raises:
        TeacherError: it is none that this table has.
    """
    if reason := unknown(config):
        raise TeacherError(reason)
    return FAMILIES[config.model_type]


def unknown(config: PreTrainedConfig) -> str:
    """Why nothing but a model's logits can be had; nothing if its layout is known."""
    if config.model_type not in FAMILIES:
        return (
            f"the layout of a {config.model_type} model isn't known, so only its logits can be "
            f"used; hidden states and weights can be had of {', '.join(sorted(FAMILIES))}"
        )
    if getattr(config, "inner_group_num", 1) != 1:
        return (
            f"an {config.model_type} with {config.inner_group_num} blocks in a group "
            "(inner_group_num) can only be used by its logits; all published ones have 1"
        )
    return ""


def block(config: PreTrainedConfig, layer: int) -> tuple[str, int]:
    """Where a block lies inside the encoder, and which of that module's calls it is, from 0.

    Args:
        config: the model's.
        layer: from 1.
    """
    if not 1 <= layer <= config.num_hidden_layers:
        raise ValueError(f"there is no block {layer} among the model's {config.num_hidden_layers}")
    groups = [group(config, number) for number in range(1, layer + 1)]
    return of(config).block.format(groups[-1]), groups[:-1].count(groups[-1])


def group(config: PreTrainedConfig, layer: int) -> int:
    """The number, from 0, of the weights that a block uses; ALBERT's blocks share them."""
    shared = getattr(config, "num_hidden_groups", None)
    if shared is None:
        return layer - 1
    # As Transformers computes it, rounding included.
    return int((layer - 1) / (config.num_hidden_layers / shared))


def taken(model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a model reads of a batch: token types only if it knows more than one.

    A student may read the tokens of a tokenizer that makes types, and have no use for them.
    """
    if "token_type_ids" not in inputs or reads_types(model):
        return inputs
    return {name: tensor for name, tensor in inputs.items() if name != "token_type_ids"}


def reads_types(model: nn.Module) -> bool:
    """Whether a model tells the segments of its input apart by token types."""
    known = getattr(getattr(model, "config", None), "type_vocab_size", None)
    if known is not None and known < 2:
        return False
    return "token_type_ids" in _arguments(getattr(model.forward, "__func__", model.forward))


@lru_cache(maxsize=32)
def _arguments(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)


def length_first(model: nn.Module) -> bool:
    """Whether a model computes in (length, batch, width), from its embeddings on."""
    config = getattr(model, "config", None)
    family = FAMILIES.get(getattr(config, "model_type", ""))
    return family is not None and family.length_first


def segments(config: PreTrainedConfig) -> int:
    """How many token types a student of this model's tokens has to know."""
    if config.model_type == "xlnet":  # relative; its tokenizer gives <cls> one of its own
        return 3
    return int(getattr(config, "type_vocab_size", 0) or 2)  # DistilBERT has none


def positions(config: PreTrainedConfig) -> int:
    """How many tokens a student of this model can read."""
    table = int(getattr(config, "max_position_embeddings", -1))
    if table < 1:  # relative
        return POSITIONS
    return table - offset(config)


def offset(config: PreTrainedConfig) -> int:
    """The rows of a table of positions before that of the first token."""
    family = FAMILIES.get(config.model_type)
    if family is None or not family.first_position or config.pad_token_id is None:
        return 0
    return int(config.pad_token_id) + 1


def embedding_size(config: PreTrainedConfig) -> int:
    """The width of the embeddings, before they are made as wide as the blocks."""
    return int(getattr(config, "embedding_size", None) or config.hidden_size)


def inner(config: PreTrainedConfig) -> int | None:
    """The width of the feed-forward blocks; None if the config doesn't say."""
    for name in ("intermediate_size", "hidden_dim", "d_inner"):
        if (width := getattr(config, name, None)) is not None:
            return int(width)
    return None


def activation(config: PreTrainedConfig) -> str:
    """The activation of the feed-forward blocks."""
    for name in ("hidden_act", "activation", "ff_activation"):
        if (known := getattr(config, name, None)) is not None:
            return str(known)
    return "gelu"
