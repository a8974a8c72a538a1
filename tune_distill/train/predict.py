"""A model's logits over a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from tune_distill import families
from tune_distill.signals.last_block import first_token_alone
from tune_distill.tasks import Encoded
from tune_distill.tasks.batches import ordered_batches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Tokens of a batch, padding included: a CPU's caches are happiest with few, a GPU with many.
CPU_TOKENS, GPU_TOKENS = 4_096, 65_536


def predict(
    model: PreTrainedModel, data: Encoded, device: str = "cpu", tokens: int | None = None
) -> np.ndarray:
    """The logits of every row, in order, in eval mode and float32: (rows, classes).

    Args:
        model: a sequence classifier.
        data: the rows.
        device: where to run.
        tokens: of a batch; by default as many as the device likes; 1: each row by itself.
    """
    model.to(torch.device(device)).eval()  # type: ignore[arg-type]  # of a decorated method
    tokens = tokens or (CPU_TOKENS if device == "cpu" else GPU_TOKENS)
    classes = int(model.config.num_labels or 1)
    logits = np.empty((len(data), classes), dtype=np.float32)
    with torch.inference_mode(), first_token_alone(model):
        for rows in ordered_batches(data, tokens):
            batch = data.batch(rows).to(device)
            inputs = families.taken(model, batch.inputs())
            logits[rows] = model(**inputs).logits.float().cpu().numpy()
    return logits
