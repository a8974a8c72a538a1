"""Tokenizers of every kind, learned from a few sentences, as Hugging Face loads them."""

from __future__ import annotations

import random

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AlbertTokenizer, BertTokenizer, RobertaTokenizer, XLNetTokenizer

KINDS = ("wordpiece", "bpe", "unigram", "xlnet")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sentences(count, seed=0, words=60):
    """Sentences of made-up words that share syllables, a few of them frequent."""
    rng = random.Random(seed)
    known = random.Random(7)
    syllables = ["".join(known.sample(_LETTERS, known.randint(2, 3))) for _ in range(24)]
    lexicon = ["".join(known.sample(syllables, known.randint(1, 3))) for _ in range(words)]
    weights = [1 / (rank + 1) for rank in range(words)]
    return [" ".join(rng.choices(lexicon, weights, k=rng.randint(1, 9))) for _ in range(count)]


def tokenizer(kind, folder, texts=None, size=220):
    """A tokenizer of a kind, saved to a folder and loaded from there."""
    from tune_distill.teacher import load_tokenizer

    _BUILD[kind](texts or sentences(300), size).save_pretrained(folder)
    return load_tokenizer(folder)


def _wordpiece(texts, size):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[unused1]"]
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner = [f"##{letter}" for letter in _LETTERS]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*special, *_LETTERS, *inner], show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    return BertTokenizer(vocab=learner.get_vocab(), model_max_length=64)


def _bpe(texts, size):
    import json

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size + 256,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    vocabulary = model["vocab"] | {"<mask>": len(model["vocab"])}
    merges = [tuple(merge) for merge in model["merges"]]
    return RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=64)


def _pieces(texts, size, special):
    import json

    learner = Tokenizer(models.Unigram())
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    return [tuple(entry) for entry in json.loads(learner.to_str())["model"]["vocab"]]


def _unigram(texts, size):
    special = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    return AlbertTokenizer(vocab=_pieces(texts, size, special), model_max_length=64)


def _xlnet(texts, size):
    special = ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"]
    return XLNetTokenizer(vocab=_pieces(texts, size, special), model_max_length=64)


_BUILD = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram, "xlnet": _xlnet}
