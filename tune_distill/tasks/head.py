"""What a Hugging Face configuration says of a head: the names of its outputs, and their kind.

`problem_type` decides what a pipeline makes of the logits: softmax for one class a row, a sigmoid
each for several labels, nothing for a regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tune_distill.methods.base import Kind

_PROBLEMS: dict[Kind, str] = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}


def head(names: Sequence[str], kind: Kind) -> dict[str, Any]:
    """Return the entries of a configuration for a task's classes; a regression has none."""
    numbered = dict(enumerate(names)) or {0: "score"}
    return {
        "id2label": numbered,
        "label2id": {name: number for number, name in numbered.items()},
        "problem_type": _PROBLEMS[kind if names else "regression"],
    }


def stated_kind(problem_type: str | None) -> Kind | None:
    """Return the kind of task that a head was trained for, where its configuration says so."""
    return next((kind for kind, problem in _PROBLEMS.items() if problem == problem_type), None)
