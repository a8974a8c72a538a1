"""Tiny models and rows, made from numbers: for tests that need something to train."""

from __future__ import annotations

import numpy as np
import torch
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertForSequenceClassification

from tune_distill.tasks import Encoded

VOCABULARY = 40
PAD, CLS, SEP = 0, 1, 2


def bert(layers=2, hidden_size=16, heads=2, classes=2, seed=0, dropout=0.1):
    """A random BERT classifier; the same for the same arguments."""
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=classes,
        pad_token_id=PAD,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification(config).eval()


def rows(count=60, classes=2, seed=0):
    """Rows of 4 to 11 tokens, each with one marker token that is its label: token 3 + label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    texts = []
    for label in labels:
        words = rng.integers(10, VOCABULARY, rng.integers(2, 10))
        words[rng.integers(len(words))] = 3 + label
        texts.append(np.concatenate([[CLS], words, [SEP]]))
    lengths = [len(text) for text in texts]
    return Encoded(
        tokens=np.concatenate(texts).astype(np.uint8),
        types=None,
        offsets=np.cumsum([0, *lengths]),
        labels=labels,
        pad_id=PAD,
    )


WORDS = ["the", "a", "film", "meal", "room", "was", "felt", "seemed", "and", "very", "plot", "soup"]
SIDES = {"negative": ["dull", "awful", "cold"], "positive": ["lovely", "superb", "warm"]}


def texts(count, seed):
    """Sentences with one word that tells their side: (texts, label names)."""
    rng = np.random.default_rng(seed)
    made = []
    for label in rng.permutation(np.arange(count) % 2):
        side = list(SIDES)[label]
        words = rng.choice(WORDS, rng.integers(3, 9)).tolist()
        words.insert(rng.integers(len(words) + 1), rng.choice(SIDES[side]))
        made.append((" ".join(words), side))
    return made


def write_task(folder, train=400, validation=60):
    """train.csv and validation.csv in a folder."""
    import csv

    for name, count, seed in (("train", train, 1), ("validation", validation, 2)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sentence", "label"])
            writer.writerows(texts(count, seed))


def write_teacher(folder, layers=2, hidden_size=32):
    """A BERT classifier that has learned `texts`, with its tokenizer, as Hugging Face files."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertTokenizerFast

    from tune_distill.methods import METHODS
    from tune_distill.spec import TrainSpec
    from tune_distill.tasks import Rows, encode
    from tune_distill.train import train

    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    known = [*WORDS, *SIDES["negative"], *SIDES["positive"]]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    pieces += [f"##{letter}" for letter in letters] + [w for w in known if w not in letters]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]",
        "[CLS] $A [SEP] $B:1 [SEP]:1",
        [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    tokenizer = BertTokenizerFast(tokenizer_object=backend, model_max_length=64)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden_size,
        max_position_embeddings=64,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
    made = texts(400, seed=1)
    labels = np.array([list(SIDES).index(side) for _, side in made])
    data = encode(Rows(([text for text, _ in made],), labels), tokenizer, 32)
    knobs = TrainSpec(learning_rate=3e-3, batch_size=16, epochs=6)
    list(train(model, METHODS["finetune"](), data, knobs, seed=0))
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def teacher(family, layers=2, hidden_size=16, heads=2, classes=2, seed=0, dropout=0.0, **config):
    """A random classifier of any family of teachers, of weights large enough to tell tokens apart.

    ALBERT shares its blocks and both its embeddings and ELECTRA's are half as wide as its blocks,
    unless `config` says otherwise. XLNet reads its last real token, as one that was loaded does.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from tune_distill.teacher.last_token import read_last_real_token

    common = {"vocab_size": VOCABULARY, "num_labels": classes, "pad_token_id": PAD}
    shape = {
        "hidden_size": hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 2 * hidden_size,
        "max_position_embeddings": 32,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    narrow = {"embedding_size": hidden_size // 2}
    values = {
        "bert": shape,
        "roberta": shape | {"type_vocab_size": 1, "max_position_embeddings": 32 + PAD + 1},
        "distilbert": {
            "dim": hidden_size,
            "n_layers": layers,
            "n_heads": heads,
            "hidden_dim": 2 * hidden_size,
            "max_position_embeddings": 32,
            "dropout": dropout,
            "attention_dropout": dropout,
            "seq_classif_dropout": dropout,
        },
        "albert": shape | narrow | {"classifier_dropout_prob": dropout, "hidden_act": "gelu"},
        "electra": shape | narrow,
        "xlnet": {
            "d_model": hidden_size,
            "n_layer": layers,
            "n_head": heads,
            "d_inner": 2 * hidden_size,
            "dropout": dropout,
            "summary_last_dropout": dropout,
        },
    }
    values["xlm-roberta"] = values["camembert"] = values["roberta"]
    made = AutoConfig.for_model(family, **(common | values[family] | config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(made).eval()
        with torch.no_grad():
            for tensor in model.parameters():
                tensor += 0.1 * torch.randn_like(tensor)
    return read_last_real_token(model)
