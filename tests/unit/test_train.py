"""The training loop: schedule, groups, exact resumption, divergence."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch

from tests import tiny
from tune_distill import signals
from tune_distill.errors import Diverged
from tune_distill.methods import METHODS, Method, ModelShape, Phase
from tune_distill.signals import Needs
from tune_distill.spec import TrainSpec
from tune_distill.train import predict, train
from tune_distill.train.checkpoint import CHECKPOINT, _digest
from tune_distill.train.course import legs, schedule

CONFIG = TrainSpec(
    learning_rate=5e-3, batch_size=8, epochs=3, warmup=0.2, seed=1, precision="float32"
)


def teacher():
    model = tiny.bert(seed=5)

    def seen(batch, needs):
        with torch.no_grad():
            return signals.run(model, batch.inputs(), needs)

    return seen


def run(model, method="finetune", config=CONFIG, seed=1, stop=None, **more):
    """Trains; stops before the epoch after `stop`, as a killed trial would."""
    knobs = {"teacher": teacher()} if method == "kd" else {}
    epochs = []
    for epoch in train(model, METHODS[method](), tiny.rows(), config, seed=seed, **knobs, **more):
        epochs.append(epoch)
        if epoch.epoch == stop:
            break
    return epochs


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_equal(left, right):
    for name, tensor in left.items():
        assert torch.equal(tensor, right[name]), name


def test_a_student_learns_the_marker_token():
    model = tiny.bert()
    data = tiny.rows(seed=9)
    before = (predict(model, data).argmax(1) == data.labels).mean()
    run(model, config=CONFIG.model_copy(update={"epochs": 12}))
    after = (predict(model, data).argmax(1) == data.labels).mean()
    assert before < 0.75
    assert after > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, third = tiny.bert(), tiny.bert(), tiny.bert()
    assert run(first) == run(second)
    run(third, seed=2)
    assert_equal(weights(first), weights(second))
    assert not torch.equal(first.classifier.weight, third.classifier.weight)


@pytest.mark.parametrize("method", ["finetune", "kd"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_run_stopped_and_resumed_equals_the_uninterrupted_one(tmp_path, method, stop):
    straight, resumed = tiny.bert(), tiny.bert()
    expected = run(straight, method)

    before = run(tiny.bert(), method, stop=stop, checkpoint=tmp_path)
    torch.rand(7)  # whatever else drew random numbers in between
    after = run(resumed, method, checkpoint=tmp_path)

    assert before == expected[:stop]
    # Epoch `stop` was reported before it was saved: it is the first to be run again.
    assert after == expected[stop - 1 :]
    assert_equal(weights(straight), weights(resumed))


def test_a_finished_run_that_is_resumed_trains_no_more(tmp_path):
    straight, resumed = tiny.bert(), tiny.bert()
    run(straight, checkpoint=tmp_path)
    assert run(resumed, checkpoint=tmp_path) == []
    assert_equal(weights(straight), weights(resumed))


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"x" * 99])
def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path, damage):
    run(tiny.bert(), stop=2, checkpoint=tmp_path)
    file = tmp_path / "training.ckpt"
    file.write_bytes(damage(file.read_bytes()))
    model = tiny.bert()
    assert [e.epoch for e in run(model, checkpoint=tmp_path)] == [1, 2, 3]


def test_a_checkpoint_from_elsewhere_runs_no_code(tmp_path):
    run(tiny.bert(), stop=2, checkpoint=tmp_path)
    for state in (Payload(tmp_path / "ran"), {"modules": Payload(tmp_path / "ran")}):
        content = io.BytesIO()
        torch.save(state, content)
        payload = content.getvalue()
        (tmp_path / CHECKPOINT).write_bytes(_digest(payload) + payload)
        assert [e.epoch for e in run(tiny.bert(), checkpoint=tmp_path)] == [1, 2, 3]
        assert not (tmp_path / "ran").exists()
        pickle.loads(pickle.dumps(state))  # what would run, runs
        (tmp_path / "ran").rmdir()


class Payload:
    """A pickle that makes a folder when it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_flipped_byte_in_a_checkpoint_is_detected(tmp_path):
    run(tiny.bert(), stop=2, checkpoint=tmp_path)
    file = tmp_path / "training.ckpt"
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF  # in the middle of the weights
    file.write_bytes(raw)
    straight, resumed = tiny.bert(), tiny.bert()
    run(straight)
    run(resumed, checkpoint=tmp_path)
    assert_equal(weights(straight), weights(resumed))


def test_bf16_follows_float32_to_within_its_rounding():
    """bf16 keeps 8 bits: relative steps of 1/256, which three epochs may add up a little."""
    exact = run(tiny.bert(dropout=0.0))
    rounded = run(
        tiny.bert(dropout=0.0), config=CONFIG.model_copy(update={"precision": "bfloat16"})
    )
    for left, right in zip(exact, rounded, strict=True):
        assert left.losses["total"] == pytest.approx(right.losses["total"], rel=0.05)
        assert left.losses["total"] != right.losses["total"], "bf16 was asked for, and not used"


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_helps():
    model = tiny.bert()
    with torch.no_grad():
        model.classifier.bias[0] = math.nan
    with pytest.raises(Diverged, match="lower learning rate"):
        run(model)


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    run(tiny.bert())
    assert torch.equal(torch.rand(4), expected)


def test_the_schedule_rises_to_one_and_falls_to_nothing():
    # 10 updates, 20 % of them warm up: 1/2, 1, then (10 - update) / 8
    rates = [schedule(update, 10, 0.2) for update in range(10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    assert schedule(0, 10, 0.0) == 1.0


@dataclasses.dataclass(frozen=True)
class Answer(Method):
    """Pulls the logits to a number: tells which phase is at work."""

    name: ClassVar[str] = "answer"
    needs_teacher: ClassVar[bool] = False
    number: float = 0.0

    def loss(self, student, teacher, batch, heads):
        return {
            f"to {self.number:g}": (term := (student.scores() - self.number).square().mean()),
            "total": term,
        }


@dataclasses.dataclass(frozen=True)
class TwoPhases(Answer):
    """First to -1 at a constant rate, then to 1 at a tenth of it."""

    def phases(self):
        return (
            Phase(Answer(-1.0), 0.4, warmup=0.0, decay=False),
            Phase(Answer(1.0), 0.6, rate=0.1, warmup=0.5),
        )


def test_the_phases_of_a_run_share_its_updates():
    shapes = (ModelShape(2, 16, 2),) * 2
    first, then = legs(TwoPhases(), shapes, 10)
    assert (first.start, first.stop, then.start, then.stop) == (0, 4, 4, 10)
    assert [first.rate(update, 0.5) for update in range(4)] == [1.0] * 4
    # 6 updates, 3 of them warm up: 1/3, 2/3, 1, then (6 - place) / 3; a tenth of each
    rates = [then.rate(update, 0.0) for update in range(4, 10)]
    assert rates == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.1, 0.2 / 3, 0.1 / 3])
    # However few updates there are, each phase that can have one has one.
    assert [(leg.start, leg.stop) for leg in legs(TwoPhases(), shapes, 2)] == [(0, 1), (1, 2)]
    assert [(leg.start, leg.stop) for leg in legs(TwoPhases(), shapes, 1)] == [(0, 1)]


def test_a_phase_may_end_within_an_epoch_and_each_terms_mean_is_over_its_own_updates():
    config = CONFIG.model_copy(update={"epochs": 1})  # 8 updates: 3 of the first phase
    (epoch,) = train(tiny.bert(), TwoPhases(), tiny.rows(), config, seed=1)
    assert set(epoch.losses) == {"to -1", "to 1", "total"}
    assert 3 * epoch.losses["to -1"] + 5 * epoch.losses["to 1"] == pytest.approx(
        8 * epoch.losses["total"], rel=1e-5
    )


@pytest.mark.parametrize("stop", [1, 2])
def test_a_run_of_phases_that_was_stopped_equals_the_uninterrupted_one(tmp_path, stop):
    def some(model, **more):
        return train(model, TwoPhases(), tiny.rows(), CONFIG, seed=1, **more)

    straight, resumed = tiny.bert(), tiny.bert()
    expected = list(some(straight))
    for epoch in some(tiny.bert(), checkpoint=tmp_path):
        if epoch.epoch == stop:
            break
    assert list(some(resumed, checkpoint=tmp_path)) == expected[stop - 1 :]
    assert_equal(weights(straight), weights(resumed))


def test_a_module_with_a_rate_of_its_own_learns_at_it_and_is_clipped_by_itself():
    """Adam's first step is the learning rate, whatever the gradient: it tells the ratio."""
    heads = METHODS["lad"](gate_ratio=0.1).heads(*(ModelShape(2, 16, 2),) * 2)
    before = heads["gates"].gates[0].weight.detach().clone()
    model = tiny.bert(dropout=0.0)
    start = model.classifier.weight.detach().clone()
    config = CONFIG.model_copy(
        update={"epochs": 1, "batch_size": 100, "warmup": 0.0, "weight_decay": 0.0}
    )
    shared = tiny.bert(seed=5)

    def seen(batch, needs):
        with torch.no_grad():
            return signals.run(shared, batch.inputs(), needs)

    method = METHODS["lad"](gate_ratio=0.1)
    list(train(model, method, tiny.rows(), config, seed=1, teacher=seen, heads=heads))
    moved = (heads["gates"].gates[0].weight - before).abs().max().item()
    assert (model.classifier.weight - start).abs().max().item() == pytest.approx(5e-3, rel=0.05)
    assert moved == pytest.approx(5e-4, rel=0.05)


def test_a_method_that_finds_itself_broken_ends_the_run():
    class Broken(Answer):
        def broken(self, losses):
            return f"the loss is {losses['total']:.0f}"

    with pytest.raises(Diverged, match="the loss is 1"):
        list(train(tiny.bert(), Broken(1.0), tiny.rows(), CONFIG, seed=1))


def test_biases_and_norms_are_not_decayed():
    """With a learning rate that moves nothing else, decay alone shrinks what it touches."""
    from tune_distill.train.optimise import optimizer_of

    model = tiny.bert()
    optimizer = optimizer_of(model, CONFIG.model_copy(update={"weight_decay": 0.1}))
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    for name, parameter in model.named_parameters():
        plain = name.endswith(".bias") or "LayerNorm" in name
        assert (id(parameter) in decayed) == (not plain), name
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.1}


def test_padding_does_not_change_the_loss():
    data = tiny.rows(4)
    model = tiny.bert().eval()
    batch = data.batch(np.arange(4))
    longer = {
        "input_ids": torch.nn.functional.pad(batch.input_ids, (0, 5), value=tiny.PAD),
        "attention_mask": torch.nn.functional.pad(batch.attention_mask, (0, 5)),
    }
    method, seen = METHODS["kd"](), teacher()(batch, Needs(logits=True))
    short = method.loss(signals.run(model, batch.inputs(), Needs(logits=True)), seen, batch, None)
    long = method.loss(signals.run(model, longer, Needs(logits=True)), seen, batch, None)
    torch.testing.assert_close(short["total"], long["total"], rtol=1e-5, atol=1e-6)


def test_predictions_come_back_in_the_order_of_the_rows():
    data, model = tiny.rows(30), tiny.bert()
    with torch.inference_mode():
        alone = [model(**data.batch(np.array([i])).inputs()).logits[0].numpy() for i in range(30)]
    np.testing.assert_allclose(predict(model, data), np.stack(alone), atol=1e-5)
