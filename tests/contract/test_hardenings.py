"""What every defence must satisfy, over every method, phase and family."""

from __future__ import annotations

import dataclasses
from typing import get_type_hints

import pytest
import torch

from tests.hardened import World
from tune_distill.hardening import HARDENINGS
from tune_distill.methods import METHODS, TaskShape
from tune_distill.spec import TrainSpec
from tune_distill.spec.space import RobustSpaces
from tune_distill.train import train

CONFIG = TrainSpec(learning_rate=3e-3, batch_size=8, epochs=2, warmup=0.2, precision="float32")
every_defence = pytest.mark.parametrize("name", HARDENINGS)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("tokenizer"), rows=16)


def run(world, model, hardening, method="kd", stop=None, **more):
    """Trains; stops before the epoch after `stop`, as a killed trial would."""
    given = {"teacher": world.taught, "texts": world.texts, "hardening": hardening, **more}
    for epoch in train(model, METHODS[method](), world.data, CONFIG, seed=4, **given):
        if epoch.epoch == stop:
            break
        yield epoch


@every_defence
def test_a_defence_is_filed_under_its_name_and_its_knobs_are_searchable(name):
    defence = HARDENINGS[name]
    knobs = {field.name for field in dataclasses.fields(defence)}
    assert defence.name == name
    assert get_type_hints(defence).keys() >= knobs == RobustSpaces[name].model_fields.keys()
    assert {"stage", "share"} < knobs
    assert defence().passes >= 1
    assert defence(stage="after").cost < defence().cost or defence().passes == 1


@every_defence
@pytest.mark.parametrize("method", METHODS)
def test_one_update_is_finite_and_moves_all_that_plain_training_moves(world, name, method):
    hardening = HARDENINGS[name]()
    if reasons := hardening.check(METHODS[method](), TaskShape(2)):
        assert (name, method) in {("ard", "finetune"), ("rslad", "finetune")}, reasons
        return
    for phase in range(len(METHODS[method]().phases())):
        plain, hard = (
            world.update(world.model(seed=1), method, phase=phase, hardening=hardening)
            for _ in range(2)
        )
        plain.learn(plain.loss(plain.forward())["total"])
        torch.manual_seed(0)
        terms = hardening.learn(hard)

        assert all(torch.isfinite(term) and not term.requires_grad for term in terms.values())
        assert "total" in terms
        for ours, theirs in ((hard.student, plain.student), (hard.heads, plain.heads)):
            for (path, own), other in zip(
                [] if ours is None else ours.named_parameters(),
                [] if theirs is None else theirs.parameters(),
                strict=True,
            ):
                if other.grad is not None and other.grad.abs().max() > 0:
                    assert own.grad is not None, path
                    assert torch.isfinite(own.grad).all(), path
                    assert own.grad.abs().max() > 0, path


@every_defence
@pytest.mark.parametrize("family", ["distilbert", "roberta", "albert"])
def test_every_family_can_be_hardened(world, name, family):
    """ALBERT's word embeddings are narrower than its blocks."""
    hardening = HARDENINGS[name]()
    update = world.update(world.model(seed=1, family=family), hardening=hardening)
    terms = hardening.learn(update)
    assert torch.isfinite(terms["total"])
    assert update.student.get_input_embeddings().weight.grad.abs().max() > 0


@every_defence
@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_several_labels_and_numbers_can_be_hardened(world, name, kind):
    hardening = HARDENINGS[name]()
    if reasons := hardening.check(METHODS["kd"](), TaskShape(2, kind)):
        assert name in {"ganbert", "augment", "attack"}, reasons
        return
    update = world.update(world.model(seed=1))
    labels = update.batch.labels.float()
    labels = torch.stack([labels, 1 - labels], dim=1) if kind == "multi_label" else labels
    if kind == "regression":  # one output
        update = world.update(world.model(seed=1, classes=1))
        update.seen.logits = update.seen.logits[:, :1]
    update.batch = dataclasses.replace(update.batch, labels=labels)
    assert all(torch.isfinite(term) for term in hardening.learn(update).values())


@every_defence
@pytest.mark.parametrize("stage", ["during", "after"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(world, name, stage, tmp_path):
    hardening = HARDENINGS[name](stage=stage, share=0.7)
    whole, model = world.model(seed=1, dropout=0.1), world.model(seed=1, dropout=0.1)
    first, second = run(world, whole, hardening)
    list(run(world, model, hardening, stop=2, checkpoint=tmp_path))
    (again,) = list(run(world, model, hardening, checkpoint=tmp_path))
    assert again == second
    assert first.losses != second.losses
    for name_, tensor in whole.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name_]), name_


@pytest.mark.usefixtures("whole_table")
@every_defence
def test_before_its_stage_nothing_differs_from_plain_training(world, name):
    late = HARDENINGS[name](stage="after", share=0.5)  # the second of two epochs
    plain, hard = world.model(seed=1, dropout=0.1), world.model(seed=1, dropout=0.1)
    epochs = run(world, plain, None), run(world, hard, late)
    assert next(epochs[0]) == next(epochs[1])
    assert all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), hard.parameters(), strict=True)
    )
    assert next(epochs[0]).losses != next(epochs[1]).losses
