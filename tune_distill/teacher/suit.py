"""Whether a teacher suits a task: its classes, its tokenizer, the lengths that it can read."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from tune_distill import families
from tune_distill.methods import Kind
from tune_distill.tasks import Task, stated_kind

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CALLED: dict[Kind | None, str] = {
    "single_label": "one class a row",
    "multi_label": "several labels a row",
    "regression": "a regression",
}
_GENERIC = re.compile(r"(label[ _-]?)?\d+")


def misfits(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: Task, max_length: int
) -> list[str]:
    """The reasons why a teacher can't teach this task; empty if it can."""
    reasons = _tokens(model, tokenizer, max_length)
    wanted, found = max(1, len(task.label_names)), len(own_names(model))
    if wanted != found:
        names = f" ({', '.join(task.label_names)})" if task.label_names else ": it is a regression"
        reasons.append(f"its head has {found} outputs, the task {task.name} needs {wanted}{names}")
    elif (stated := stated_kind(model.config.problem_type)) not in (None, task.kind):
        reasons.append(
            f"its head was trained for {_CALLED[stated]} (problem_type in its config.json), the"
            f" task {task.name} is of {_CALLED[task.kind]}: fine-tune one, or correct what is wrong"
        )
    elif disordered(own_names(model), task.label_names):
        reasons.append(
            f"its classes are in another order: {_numbered(own_names(model))}; the task's are "
            f"{_numbered(task.label_names)}. Its logits would teach the wrong classes: reorder the "
            "rows of its head and its id2label, or renumber the task's labels"
        )
    return reasons


def own_names(model: PreTrainedModel) -> tuple[str, ...]:
    """What a model calls its classes, by class number."""
    names: dict[Any, str] = dict(model.config.id2label or {})
    return tuple(str(names.get(n, f"LABEL_{n}")) for n in range(len(names)))


def disordered(teacher: Sequence[str], task: Sequence[str]) -> bool:
    """Whether both use the same names, in different orders."""
    ours, theirs = [_plain(n) for n in task], [_plain(n) for n in teacher]
    return ours != theirs and sorted(ours) == sorted(theirs)


def unlike(teacher: Sequence[str], task: Sequence[str]) -> bool:
    """Whether both name their classes, and not with the same names."""
    both = bool(task) and not any(_GENERIC.fullmatch(_plain(n)) for n in (*teacher, *task))
    return both and {_plain(n) for n in teacher} != {_plain(n) for n in task}


def _tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> list[str]:
    reasons = []
    rows = cast("nn.Embedding", model.get_input_embeddings()).num_embeddings
    if len(tokenizer) > rows:
        reasons.append(
            f"its tokenizer knows {len(tokenizer):,} tokens, its embeddings {rows:,}: "
            "the tokenizer is another model's"
        )
    longest = min(positions(model), tokenizer.model_max_length)
    if max_length > longest:
        reasons.append(f"it reads at most {longest} tokens; task.max_length is {max_length}")
    if tokenizer.pad_token_id is None:
        reasons.append("its tokenizer has no padding token; set its pad_token and save it")
    if positions(model) == sys.maxsize and max_length > families.POSITIONS:
        reasons.append(
            f"it reads texts of any length, but its students {families.POSITIONS} tokens; "
            f"task.max_length is {max_length}"
        )
    return reasons


def positions(model: PreTrainedModel) -> int:
    """The longest input of a model, in tokens."""
    embeddings = getattr(model.base_model, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if table is None:  # relative positions
        known = int(getattr(model.config, "max_position_embeddings", -1))
        return known if known > 0 else sys.maxsize
    # RoBERTa counts positions from its padding index on.
    first = 0 if table.padding_idx is None else table.padding_idx + 1
    return int(table.num_embeddings) - first


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name.strip().casefold())


def _numbered(names: Sequence[str]) -> str:
    return ", ".join(f"{number} = {name}" for number, name in enumerate(names))
