"""The distillation methods: one paper a file, all under one contract.

A method is a frozen dataclass of its knobs. Its class attributes and functions say what it asks
for and what it minimises; `Method` holds the defaults, so that a file shows only what is special.
"""

from __future__ import annotations

from tune_distill.methods.base import Batchwise, Method, ModelShape, TaskShape
from tune_distill.methods.finetune import FineTune
from tune_distill.methods.kd import KD

METHODS: dict[str, type[Method]] = {"finetune": FineTune, "kd": KD}

__all__ = ["METHODS", "Batchwise", "Method", "ModelShape", "TaskShape"]
