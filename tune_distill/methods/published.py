"""Settings as their authors published them, in our normalisation, to enqueue in a search.

`search: {enqueue: [pkd:sst2, lad:sst2, tinybert]}`. Where a soft loss was divided by the classes C
(PKD), alpha and beta are what gives the same loss up to a factor:

    alpha = (a / C) / (1 - a + a / C),    beta = b / (1 - a + a / C)

docs/PAPERS.md has each setting as it was printed, its source and what it can't bring along: data
augmentation, the length of inputs, the student's shape.
"""

from __future__ import annotations

from collections.abc import Mapping

from tune_distill.space import Params, Scalar


def _setting(method: str, train: Mapping[str, Scalar], **knobs: Scalar) -> Params:
    params: Params = {"method": method}
    params |= {f"method.{method}.{knob}": value for knob, value in knobs.items()}
    return params | {f"train.{knob}": value for knob, value in train.items()}


def _pkd(
    classes: int, lr: float, temperature: float, a: float, b: float, *, normalise: bool
) -> Params:
    """intersun/PKD-for-BERT-Model-Compression, result/glue/result_summary/pkd_6layer_all.csv."""
    train = {"learning_rate": lr, "batch_size": 32, "epochs": 4, "warmup": 0.1}
    scale = 1 - a + a / classes
    return _setting(
        "pkd",
        train,
        temperature=temperature,
        alpha=a / classes / scale,
        beta=b / scale,
        normalise=normalise,
        layer_map="uniform",
    )


def _lad(
    lr: float,
    gate_lr: float,
    temperature: float,
    alpha: float,
    mu: float,
    epochs: int,
    warmup: float,
) -> Params:
    """IKMLab/LAD, scripts/*.sh."""
    train = {"learning_rate": lr, "batch_size": 32, "epochs": epochs, "warmup": warmup}
    return _setting(
        "lad", train, temperature=temperature, alpha=alpha, beta=mu, gate_ratio=gate_lr / lr
    )


def _tinybert(epochs: int) -> Params:
    """huawei-noah TinyBERT/task_distill.py: so many epochs inside, then 3 of answers at 3e-5."""
    train = {"learning_rate": 5e-5, "batch_size": 32, "epochs": epochs + 3, "warmup": 0.1}
    return _setting(
        "tinybert",
        train,
        temperature=1.0,
        alpha=1.0,
        intermediate=epochs / (epochs + 3),
        answers_rate=0.6,
        layer_map="uniform",
    )


PUBLISHED: dict[str, Params] = {
    # VijayKalmath/AdversarialTraining_in_Distilation_Of_BERT, bertmodel_distillation/*.ipynb
    "kd:sst2": _setting(
        "kd",
        {"learning_rate": 6e-5, "batch_size": 128, "epochs": 7, "warmup": 0.0},
        temperature=4.0,
        alpha=0.5,
        match="kl",
    ),
    # Edy-Barraza/Transformer_Distillation: of 30,522 word pieces; no labels
    "truncated_kd": _setting(
        "truncated_kd", {}, temperature=1.0, alpha=1.0, classes=10, tail="drop"
    ),
    "pkd:rte": _pkd(2, 1e-5, 10.0, 0.7, 500.0, normalise=True),
    "pkd:sst2": _pkd(2, 5e-5, 10.0, 0.5, 100.0, normalise=True),
    "pkd:qnli": _pkd(2, 5e-5, 20.0, 0.5, 100.0, normalise=False),
    "pkd:qqp": _pkd(2, 5e-5, 20.0, 0.7, 100.0, normalise=False),
    "pkd:mnli": _pkd(3, 5e-5, 10.0, 0.5, 100.0, normalise=False),
    # huggingface distiller.py, 5 soft + 2 masked words + 1 cosine, labels in the words' place
    "distilbert": _setting("distilbert", {}, temperature=2.0, alpha=5 / 7, beta=1 / 7),
    "tinybert": _tinybert(20),
    "tinybert:cola": _tinybert(50),
    "tinybert:mnli": _tinybert(10),
    "tinybert:qnli": _tinybert(10),
    "tinybert:qqp": _tinybert(10),
    "lad:rte": _lad(7e-4, 3e-5, 10.0, 0.5, 1000.0, 10, 0.1),
    "lad:mrpc": _lad(7e-4, 5e-6, 10.0, 0.5, 500.0, 20, 0.1),
    "lad:sst2": _lad(1e-4, 1e-6, 20.0, 0.5, 1000.0, 20, 0.3),
    "lad:qnli": _lad(1e-4, 1e-6, 10.0, 0.5, 1000.0, 4, 0.1),
    "lad:qqp": _lad(5e-4, 5e-7, 10.0, 0.7, 1000.0, 5, 0.1),
    "lad:mnli": _lad(1e-4, 5e-7, 10.0, 0.5, 500.0, 4, 0.1),
}
