"""Building a student, and the tokenizer that goes out with it: plain Hugging Face classes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch

from tune_distill import families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def build(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A random student: float32, on the CPU, the same for the same seed whatever was drawn before.

    Leaves every global generator as it was; `torch.manual_seed` would reseed the GPUs' too.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        plain = cast(
            "type[PreTrainedModel]", MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
        )
        model = plain(config)
    model.train(mode=False)
    return model


def matched(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """The tokenizer for this model: it makes no token types for one that doesn't take them.

    Hugging Face's pipelines hand a model all that its tokenizer makes.
    """
    names = list(tokenizer.model_input_names)
    if "token_type_ids" not in names or families.reads_types(model):
        return tokenizer
    own = copy.copy(tokenizer)
    own.model_input_names = [name for name in names if name != "token_type_ids"]
    own.init_kwargs = {**tokenizer.init_kwargs, "model_input_names": own.model_input_names}
    return own
