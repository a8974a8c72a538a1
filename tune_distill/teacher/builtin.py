"""The built-in teacher: a small BERT, trained from scratch on the task's own rows.

Its WordPiece vocabulary comes from the training texts too, so that nothing is downloaded. Enough
for the built-in corpus; on real text a pre-trained base (`teacher: {fit: {base: ...}}`) is far
better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from tune_distill.spec import TrainSpec
from tune_distill.tasks import Task, head
from tune_distill.teacher.fitting import Fit

if TYPE_CHECKING:
    from transformers import BertConfig, PreTrainedModel, PreTrainedTokenizerBase

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Recipe:
    """The shape of a teacher trained from scratch, and its training."""

    layers: int
    hidden_size: int
    heads: int
    intermediate_size: int
    dropout: float
    initializer_range: float  # standard deviation of the first weights
    vocabulary: int  # WordPiece tokens, at most
    train: TrainSpec
    seed: int = 0


SMALL = Recipe(
    layers=3,
    hidden_size=128,
    heads=4,
    intermediate_size=256,
    dropout=0.0,
    initializer_range=0.05,
    vocabulary=3000,
    train=TrainSpec(learning_rate=7e-4, batch_size=64, epochs=7, warmup=0.15),
)


def from_scratch(recipe: Recipe, task: Task, max_length: int) -> Fit:
    """How the built-in teacher of a task is made."""

    def make() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        tokenizer = tokenizer_of(recipe, task, max_length)
        entries = head(task.label_names, task.kind)
        return new_model(recipe, len(tokenizer), entries, max_length), tokenizer

    identity = {**asdict(recipe), "train": recipe.train.model_dump()}
    return Fit(make, recipe.train, recipe.seed, max_length, "builtin-small", identity)


def tokenizer_of(recipe: Recipe, task: Task, max_length: int) -> PreTrainedTokenizerBase:
    """The tokenizer of a recipe's teacher on a task."""
    return train_tokenizer(list(chain(*task.train.texts)), recipe.vocabulary, max_length)


def train_tokenizer(
    texts: Sequence[str], vocabulary: int, max_length: int
) -> PreTrainedTokenizerBase:
    """BERT's uncased WordPiece tokenizer, its vocabulary learned from these texts.

    Args:
        texts: at least one.
        vocabulary: the most tokens that it may have.
        max_length: the most tokens of its model's input.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers.models.bert.tokenization_bert import BertTokenizer

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = chain.from_iterable(
        learner.pre_tokenizer.pre_tokenize_str(learner.normalizer.normalize_str(text))
        for text in texts
    )
    inner = sorted({f"##{letter}" for word, _ in words for letter in word[1:]})
    # The trainer numbers letters within words in the order of a hash map, another one each time,
    # and settles ties by these numbers: naming them first makes the vocabulary reproducible.
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[*SPECIAL, *inner],
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return BertTokenizer(vocab=learner.get_vocab(), do_lower_case=True, model_max_length=max_length)


def new_model(
    recipe: Recipe, vocabulary: int, entries: Mapping[str, Any], max_length: int
) -> PreTrainedModel:
    """A BERT classifier with random weights, the same for the same recipe.

    Args:
        recipe: its shape and seed.
        vocabulary: tokens.
        entries: what its configuration says of its outputs (`tasks.head`).
        max_length: positions.
    """
    from transformers.models.bert.modeling_bert import BertForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return BertForSequenceClassification(shape(recipe, vocabulary, entries, max_length))


def shape(
    recipe: Recipe, vocabulary: int, entries: Mapping[str, Any], max_length: int
) -> BertConfig:
    """The configuration of the teacher that a recipe makes."""
    from transformers.models.bert.configuration_bert import BertConfig as Configuration

    return Configuration(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=recipe.intermediate_size,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        initializer_range=recipe.initializer_range,
        max_position_embeddings=max_length,
        **entries,
    )
