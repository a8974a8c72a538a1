"""Teachers: found or made, checked against the task, and kept as folders of the cache.

resolve(spec, task, max_length, cache, say) -> Path    a study's teacher, found or made
outline(spec, task, max_length)                        its config and tokenizer, nothing made
harden(defence, folder, ...) -> Path                   the same, fine-tuned further with a defence
adopt_checkpoint, outline_checkpoint                   the same of a model that students start from
load(folder), load_tokenizer(folder)                   float32, frozen, in eval mode
check(folder, task, floor) -> Check                    refuses one that has not learned the task

A teacher is a Hugging Face folder under `cache/teachers`, named by the hash of what it is, so that
a search goes on with the same teacher whatever becomes of the place that it came from.
"""

from __future__ import annotations

from tune_distill.teacher.adopt import adopt_checkpoint, outline_checkpoint
from tune_distill.teacher.builtin import SMALL, Recipe
from tune_distill.teacher.floor import Check, check, least_score
from tune_distill.teacher.hardened import Given, harden
from tune_distill.teacher.loading import digest, load, load_tokenizer
from tune_distill.teacher.obtain import outline, resolve

__all__ = [
    "SMALL",
    "Check",
    "Given",
    "Recipe",
    "adopt_checkpoint",
    "check",
    "digest",
    "harden",
    "least_score",
    "load",
    "load_tokenizer",
    "outline",
    "outline_checkpoint",
    "resolve",
]
