"""A student: its Hugging Face config, what forbids it, its parameters, and how it is built.

config(student, teacher, label_names)           the config, whatever the family
shape(config)                                   what a method may ask of a model
infeasible(student, teacher, method, task)      why it can't be trained here
unfit(student, teacher)                         why it can't start from its teacher's weights
parameters(config)                              how many, by arithmetic
build(config, seed)                             the random student
matched(tokenizer, model)                       the tokenizer that a student is exported with

Everything but `build` is arithmetic: an infeasible draw costs nothing.
"""

from __future__ import annotations

from tune_distill.student.architecture import config, shape
from tune_distill.student.build import build, matched
from tune_distill.student.counts import FAMILIES, parameters
from tune_distill.student.feasible import infeasible, unfit

__all__ = [
    "FAMILIES",
    "build",
    "config",
    "infeasible",
    "matched",
    "parameters",
    "shape",
    "unfit",
]
