"""A study whose students read in six ways: two vocabularies, of a teacher and two checkpoints."""

from __future__ import annotations

import copy

import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel

from tests import tiny, tokens
from tune_distill.spec import resolve
from tune_distill.teacher import load_tokenizer

FEW = 70  # of the teacher's 74 tokens; 57 are special ones and letters

DOCUMENT = {
    "name": "readings",
    "task": {
        "files": {"train": "train.csv", "validation": "validation.csv"},
        "text": "sentence",
        "max_length": 48,
    },
    "teacher": {"model": "teacher"},
    "space": {
        "student": {
            "layers": 2,
            "hidden_size": 16,
            "heads": 4,
            "dropout": 0.0,
            "vocab": [FEW, "full"],
            "checkpoint": [None, "kin", "stranger"],
        },
        "method": {
            "finetune": {},
            "kd": {"temperature": 2.0, "alpha": 0.5},
            "minilm2": {"teacher_layer": 2},
            "pkd": {},
        },
        "train": {"learning_rate": 3.0e-3, "batch_size": 16, "epochs": 4},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.4},
        "size_mb": {"goal": "min", "reference": 1.0},
        "robust_worst": {"goal": "max", "reference": 0.0},
    },
    "robustness": {"rows": 12, "budget": 6},
}


def write(folder):
    """The task, the teacher, and two pre-trained encoders: one of its tokens, one of others."""
    tiny.write_task(folder, train=360)
    tiny.write_teacher(folder / "teacher")
    own = load_tokenizer(folder / "teacher")
    texts = [*(text for text, _ in tiny.texts(200, 1)), *tokens.sentences(200)]
    other = tokens.tokenizer("unigram", folder / "stranger", texts, 90)
    shape = {"hidden_size": 24, "num_attention_heads": 4, "num_hidden_layers": 2}
    shape |= {"intermediate_size": 48, "max_position_embeddings": 64}
    kin = BertConfig(vocab_size=len(own), **shape)
    stranger = AlbertConfig(vocab_size=len(other), embedding_size=8, pad_token_id=0, **shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        BertModel(kin).save_pretrained(folder / "kin")
        AlbertModel(stranger).save_pretrained(folder / "stranger")
    own.save_pretrained(folder / "kin")


def study(folder, **student):
    """The study, with its paths absolute; `student` replaces knobs."""
    document = copy.deepcopy(DOCUMENT)
    files = document["task"]["files"]
    document["task"]["files"] = {split: str(folder / name) for split, name in files.items()}
    document["teacher"]["model"] = str(folder / "teacher")
    knobs = document["space"]["student"]
    knobs["checkpoint"] = [None, *(str(folder / name) for name in ("kin", "stranger"))]
    knobs.update(student)
    return document, resolve(document)
