"""Models of all families as if they were BERT: their tensors under BERT's names.

What ALBERT's blocks share stands under the name of each; RoBERTa's positions begin with that of the
first token; the factor from ALBERT's embeddings to its blocks has ELECTRA's name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from tune_distill import families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

EMBEDDINGS = "bert.embeddings."
WORDS, POSITIONS, TYPES = (
    f"{EMBEDDINGS}{table}_embeddings.weight" for table in ("word", "position", "token_type")
)
PADDED = f"{POSITIONS}.before"  # the rows before the first token's
FACTOR = "bert.embeddings_project"
POOLER, CLASSIFIER = "bert.pooler.dense", "classifier"


def block(layer: int) -> str:
    """What the names of a block's tensors begin with; blocks are numbered from 1."""
    return f"bert.encoder.layer.{layer - 1}."


def own(config: PreTrainedConfig) -> dict[str, str]:
    """The names that a model's tensors have in its own family, by those that they have here."""
    family = families.of(config)
    modules = {FACTOR: f"{family.base}.{family.factor}"} if family.factor else {}
    modules |= {POOLER: family.pooler, CLASSIFIER: family.classifier}
    for part in ("word_embeddings", "position_embeddings", "token_type_embeddings", "LayerNorm"):
        modules[f"{EMBEDDINGS}{part}"] = f"{family.base}.embeddings.{part}"
    for layer in range(1, config.num_hidden_layers + 1):
        path, _ = families.block(config, layer)
        for part, name in zip(families.PARTS, family.parts, strict=True):
            modules[f"{block(layer)}{part}"] = f"{family.base}.{path}.{name}"
    return {
        f"{module}.{kind}": f"{name}.{kind}"
        for module, name in modules.items()
        for kind in ("weight", "bias")
    }


def read(model: PreTrainedModel) -> dict[str, Tensor]:
    """The tensors of a model, on the CPU; those that its family lacks are absent."""
    state = model.state_dict()
    names = own(model.config).items()
    weights = {name: state[theirs].cpu() for name, theirs in names if theirs in state}
    if first := families.offset(model.config):
        rows = weights[POSITIONS]
        weights[POSITIONS], weights[PADDED] = rows[first:], rows[:first]
    return weights
