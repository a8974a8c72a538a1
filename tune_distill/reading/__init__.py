"""How a student reads the task's text: whose tokens, how many of them, and the model behind them.

    checkpoint   vocab   tokens                               starts from
    None         full    the teacher's                        the teacher
    None         N       the N of them that train needs       the teacher, its other tokens gone
    a model      full    that model's                         that model
    a model      N       the N of them that train needs       that model, its other tokens gone

prepare(spec, ...) -> (Reading, ...)      all of a study, before its first trial
outlines(spec, ...) -> (Outline, ...)     the same for `check`, with nothing filed
source, tokenizer, config, model, ...     what a worker opens of a reading

A reading is folders. What can be told from them (which tokens of a model stay, which rows of text
have the teacher's tokens) is told when it is needed, not filed.
"""

from __future__ import annotations

from tune_distill.reading.opened import alignment, config, model, source, tokenizer
from tune_distill.reading.outline import Outline, outlines, some
from tune_distill.reading.readings import Reading, find, foreign, prepare

__all__ = [
    "Outline",
    "Reading",
    "alignment",
    "config",
    "find",
    "foreign",
    "model",
    "outlines",
    "prepare",
    "some",
    "source",
    "tokenizer",
]
