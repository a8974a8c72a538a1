"""The parameters of a classifier, by arithmetic.

For V pieces, P positions, S segments, width H, L blocks of inner width I, C classes:

    BERT        tables (V + P + S) H and their norm 2 H
                L blocks of 4 (H² + H) + 2 H I + I + H + 4 H
                head H² + H + C H + C
    RoBERTa     the same: P counts its rows for padding, too
    DistilBERT  the same with S = 0
    ALBERT      tables (V + P + S) E and their norm 2 E, the factor E H + H, and as many blocks as
                it has groups, however often they are run
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_distill import families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

FAMILIES = ("bert", "distilbert", "roberta", "albert")  # of students


def parameters(config: PreTrainedConfig) -> int:
    """The number of parameters of a sequence classifier of one of FAMILIES."""
    hidden, classes, inner = config.hidden_size, config.num_labels, families.inner(config) or 0
    embedding = getattr(config, "embedding_size", hidden)
    rows = config.vocab_size + config.max_position_embeddings
    rows += getattr(config, "type_vocab_size", 0)
    factor = embedding * hidden + hidden if config.model_type == "albert" else 0
    attention = 4 * (hidden * hidden + hidden)
    feed_forward = 2 * hidden * inner + inner + hidden
    block = attention + feed_forward + 2 * (2 * hidden)
    blocks = getattr(config, "num_hidden_groups", config.num_hidden_layers)
    blocks *= getattr(config, "inner_group_num", 1)
    head = hidden * hidden + hidden + classes * (hidden + 1)
    return int((rows + 2) * embedding + factor + blocks * block + head)
