"""Does bf16 autocast pay on this machine? A training step of three students, with and without.

python benchmarks/autocast.py
"""

from __future__ import annotations

import statistics
import time

import torch
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertForSequenceClassification

SHAPES = ((2, 64, 2), (2, 128, 2), (4, 312, 12), (6, 384, 12))  # layers, hidden size, heads
BATCH, LENGTH, STEPS = 32, 16, 15


def step(model: torch.nn.Module, inputs: dict[str, torch.Tensor], bf16: bool) -> float:
    """Seconds of one forward and backward pass."""
    began = time.perf_counter()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        loss = model(**inputs).loss
    loss.backward()
    model.zero_grad()
    return time.perf_counter() - began


def main() -> None:
    """Prints the median of each, taken in turn, and their ratio."""
    torch.set_num_threads(1)
    print(f"{'student':<10} {'fp32 ms':>8} {'bf16 ms':>8} {'fp32 / bf16':>12}")
    for layers, hidden, heads in SHAPES:
        config = BertConfig(
            num_hidden_layers=layers,
            hidden_size=hidden,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
        )
        model = BertForSequenceClassification(config).train()
        ids = torch.randint(1000, 30000, (BATCH, LENGTH))
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "labels": torch.zeros(BATCH, dtype=torch.long),
        }
        pairs = [(step(model, inputs, False), step(model, inputs, True)) for _ in range(STEPS)]
        fp32 = statistics.median(1000 * a for a, _ in pairs[3:])
        bf16 = statistics.median(1000 * b for _, b in pairs[3:])
        ratio = statistics.median(a / b for a, b in pairs[3:])
        print(f"{layers}/{hidden:<8} {fp32:>8.1f} {bf16:>8.1f} {ratio:>12.2f}")


if __name__ == "__main__":
    main()
