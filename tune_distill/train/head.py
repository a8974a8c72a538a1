"""A classifier's head by itself, on vectors that no text was encoded to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from tune_distill import families

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ACTIVATIONS = {"tanh": F.tanh, "relu": F.relu, "gelu": F.gelu}


def read(model: PreTrainedModel, vectors: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
    """What a model's head makes of vectors in the place of its encoder's.

    Args:
        model: of a family of `families.FAMILIES`.
        vectors: (rows, hidden size).
        dropout: while the model trains, of its two layers' inputs; the head's own, wherever its
            family has it, is not used.

    Returns:
        What the second layer reads, (rows, hidden size), and the logits, (rows, classes).
    """
    family = families.of(model.config)
    first, second = (model.get_submodule(path) for path in (family.pooler, family.classifier))
    made = ACTIVATIONS[family.activation](first(F.dropout(vectors, dropout, model.training)))
    features = F.dropout(made, dropout, model.training)
    logits: Tensor = second(features)
    return features, logits
