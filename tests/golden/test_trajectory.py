"""Twenty updates of the training loop against the same written out with torch alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from tests import tiny
from tune_distill import signals
from tune_distill.methods import METHODS
from tune_distill.spec import TrainSpec
from tune_distill.tasks import batches
from tune_distill.train import train

CONFIG = TrainSpec(
    learning_rate=2e-3,
    batch_size=6,
    epochs=2,
    warmup=0.1,
    weight_decay=0.05,
    precision="float32",
)

# The losses of the two epochs, from `reference` below on torch 2.13, CPU. They pin the whole loop:
# a change of the order of rows, the schedule, the decay groups or the clipping moves them.
GOLDEN = (0.3474, 0.3468)


def reference(student, teacher, data):
    """KD for 20 updates: plain torch, unfused AdamW, torch's own schedule."""
    plain = [p for n, p in student.named_parameters() if "bias" in n or "LayerNorm" in n]
    decayed = [p for n, p in student.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=2e-3,
        fused=False,
    )
    rates = [min((i + 1) / 2, (20 - i) / 18) for i in range(20)]  # 2 of 20 updates warm up
    rates[1] = 1.0
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: rates[min(i, 19)])
    means = []
    for epoch in range(2):
        losses = []
        for rows in batches(data, 6, 7, epoch):
            batch = data.batch(rows)
            with torch.no_grad():
                soft = F.log_softmax(teacher(**batch.inputs()).logits / 4.0, -1)
            logits = student(**batch.inputs()).logits
            kl = F.kl_div(F.log_softmax(logits / 4.0, -1), soft, log_target=True, reduction="sum")
            loss = 0.5 * F.cross_entropy(logits, batch.labels) + 0.5 * 16.0 * kl / len(rows)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def test_twenty_updates_equal_those_of_plain_torch():
    data, teacher = tiny.rows(60, seed=3), tiny.bert(seed=5)
    ours, theirs = tiny.bert(dropout=0.0), tiny.bert(dropout=0.0)

    def seen(batch, needs):
        with torch.no_grad():
            return signals.run(teacher, batch.inputs(), needs)

    epochs = list(train(ours, METHODS["kd"](), data, CONFIG, seed=7, teacher=seen))
    expected = reference(theirs.train(), teacher, data)

    assert [e.updates for e in epochs] == [10, 20]
    assert [e.losses["total"] for e in epochs] == pytest.approx(expected, rel=1e-5)
    assert expected == pytest.approx(GOLDEN, abs=2e-4)
    for (name, left), right in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5, msg=name)
