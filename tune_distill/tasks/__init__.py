"""Tasks: read, split, tokenised once, batched and scored.

load(spec) -> Task                                texts and labels in their splits
prepare(spec, tokenizer, folder) -> Prepared      token numbers on disk, opened by every trial
batches(encoded, batch_size, seed, epoch), ordered_batches(encoded, token_budget)
head(label_names, kind)                            what a model's config says of its outputs
score(metric, logits, labels), floor(metric, labels), scores(prepared, logits) of all metrics
"""

from __future__ import annotations

from tune_distill.tasks.batches import batches, ordered_batches
from tune_distill.tasks.encoded import Batch, Encoded, encode
from tune_distill.tasks.head import head, stated_kind
from tune_distill.tasks.metrics import floor, score, scores
from tune_distill.tasks.prepared import Prepared, open_prepared, prepare, tokenizer_digest
from tune_distill.tasks.rows import DataWarning, Rows, Task
from tune_distill.tasks.source import load

__all__ = [
    "Batch",
    "DataWarning",
    "Encoded",
    "Prepared",
    "Rows",
    "Task",
    "batches",
    "encode",
    "floor",
    "head",
    "load",
    "open_prepared",
    "ordered_batches",
    "prepare",
    "score",
    "scores",
    "stated_kind",
    "tokenizer_digest",
]
