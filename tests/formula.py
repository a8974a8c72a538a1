"""A BERT whose weights are a formula: the same on any machine, in any version of torch.

What TextAttack's outcomes in `fixtures/textattack.json` were computed on, in an environment of its
own, from the files that `write` makes. Its words are pieces of one or two letters, so that every
edit of a word moves it.
"""

from __future__ import annotations

import string
from zlib import crc32

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertTokenizerFast
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertForSequenceClassification

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAIRS = tuple(a + b for a in "bcdfglmnprst" for b in "aeiou")
PIECES = (*string.ascii_lowercase, *string.digits, *string.punctuation, *PAIRS)
SCALE = 4.0  # of weights, in units of 1 / sqrt(width): large enough to tell words apart
BIAS = 1.5  # of class 1: a tenth of the fixture's rows are in it, and half of the others can be


def tokenizer():
    known = {p: i for i, p in enumerate((*SPECIAL, *PIECES, *(f"##{p}" for p in PIECES)))}
    core = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(
        ("[SEP]", known["[SEP]"]), ("[CLS]", known["[CLS]"])
    )
    return BertTokenizerFast(tokenizer_object=core, model_max_length=128)


def weights(name, shape):
    """Knuth's multiplicative hash of each weight's number, in [-1, 1)."""
    numbers = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(crc32(name.encode()))
    hashed = (numbers * np.uint64(2654435761)) % np.uint64(2**32)
    mixed = ((hashed ^ (hashed >> np.uint64(15))) * np.uint64(2246822519)) % np.uint64(2**32)
    return torch.from_numpy(mixed / 2.0**31 - 1.0).to(torch.float32).reshape(shape)


def bert():
    config = BertConfig(
        vocab_size=len(SPECIAL) + 2 * len(PIECES),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=2,
    )
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, own in model.named_parameters():
            if own.ndim == 2:
                own.copy_(weights(name, tuple(own.shape)) * SCALE / own.shape[1] ** 0.5)
            elif "LayerNorm.weight" not in name:
                own.zero_()
        model.classifier.bias[1] = BIAS
    return model


def write(folder):
    """The model and its tokenizer as Hugging Face files."""
    bert().save_pretrained(folder)
    tokenizer().save_pretrained(folder)
