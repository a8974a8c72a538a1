"""The distillation methods: one paper a file, all under one contract.

A method is a frozen dataclass of its knobs. Its class attributes and functions say what it asks
for and what it minimises; `Method` holds the defaults, so that a file shows only what is special.
"""

from __future__ import annotations

from tune_distill.methods.base import Batchwise, Kind, Method, ModelShape, Phase, TaskShape
from tune_distill.methods.distilbert import DistilBERT
from tune_distill.methods.finetune import FineTune
from tune_distill.methods.kd import KD
from tune_distill.methods.lad import LAD
from tune_distill.methods.minilm import MiniLM
from tune_distill.methods.minilm2 import MiniLM2
from tune_distill.methods.pkd import PKD
from tune_distill.methods.tinybert import TinyBERT
from tune_distill.methods.truncated_kd import TruncatedKD

METHODS: dict[str, type[Method]] = {
    "finetune": FineTune,
    "kd": KD,
    "truncated_kd": TruncatedKD,
    "pkd": PKD,
    "distilbert": DistilBERT,
    "tinybert": TinyBERT,
    "minilm": MiniLM,
    "minilm2": MiniLM2,
    "lad": LAD,
}

__all__ = ["METHODS", "Batchwise", "Kind", "Method", "ModelShape", "Phase", "TaskShape"]
