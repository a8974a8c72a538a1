"""Every method with teachers of every family and students of every family, as a trial runs them.

The teacher's signals are cached first, so that what is cached is what a loss reads.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests import tiny
from tune_distill import cache, families, initialise, student
from tune_distill.methods import METHODS, ModelShape, TaskShape
from tune_distill.spec import StudentSpec, TrainSpec
from tune_distill.train import heads_of, predict, train

TEACHERS = ("bert", "roberta", "distilbert", "albert", "electra", "xlnet")
TASK = TaskShape(3)
CONFIG = TrainSpec(learning_rate=1e-3, batch_size=16, epochs=2, precision="float32")
RELATIVE = {"tinybert", "minilm", "minilm2"}  # need queries, keys and values, which XLNet hasn't


def methods(name):
    return METHODS[name](classes=2) if name == "truncated_kd" else METHODS[name]()


def distilled(teacher, family, name, folder):
    """A student after two epochs, and its losses; or the reasons why there is none."""
    method, data = methods(name), tiny.rows(32, classes=3)
    size = {"embedding_size": 8} if family == "albert" else {}
    spec = StudentSpec(family=family, layers=2, hidden_size=8, heads=2, init="random", **size)
    if reasons := student.infeasible(spec, teacher.config, method, TASK):
        return reasons, None
    model = student.build(student.config(spec, teacher.config, ["a", "b", "c"]), seed=1)
    initialise.initialise(model, teacher, spec)
    shapes = student.shape(teacher.config), student.shape(model.config)
    given, _ = method.needs(*shapes)
    seen = None
    if given:
        made = cache.ensure(teacher, data, given, folder, limit_gb=1.0, say=lambda _: None)
        seen = cache.source(made.folder, lambda: pytest.fail("it is all cached"), given)
    heads = heads_of(method, shapes, 0, None)
    losses = [
        epoch.losses
        for epoch in train(
            model,
            method,
            data,
            CONFIG,
            seed=1,
            teacher=seen,
            teacher_shape=shapes[0],
            heads=heads,
        )
    ]
    return losses, model


def assert_a_plain_model(model, folder):
    """It reloads by Hugging Face alone, with the same logits."""
    data = tiny.rows(12, classes=3, seed=4)
    expected = predict(model, data)
    model.eval().save_pretrained(folder)
    loaded = AutoModelForSequenceClassification.from_pretrained(folder)
    batch = data.batch(np.arange(12))
    with torch.no_grad():
        logits = loaded(**families.taken(loaded, batch.inputs())).logits
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("family", TEACHERS)
@pytest.mark.parametrize("name", METHODS)
def test_a_teacher_of_any_family_teaches_by_every_method_that_claims_it(family, name, tmp_path):
    teacher = tiny.teacher(family, layers=3, hidden_size=16, heads=2, classes=3)
    losses, model = distilled(teacher, "bert", name, tmp_path)
    if family == "xlnet" and name in RELATIVE:
        assert len(losses) == 1
        assert "relative" in losses[0]
        return
    assert all(math.isfinite(value) for epoch in losses for value in epoch.values())
    assert_a_plain_model(model, tmp_path / "student")


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta", "albert"])
@pytest.mark.parametrize("name", METHODS)
def test_a_student_of_any_family_learns_by_every_method(family, name, tmp_path):
    teacher = tiny.teacher("bert", layers=3, hidden_size=16, heads=2, classes=3)
    losses, model = distilled(teacher, family, name, tmp_path)
    assert all(math.isfinite(value) for epoch in losses for value in epoch.values())
    assert model.config.model_type == family
    assert_a_plain_model(model, tmp_path / "student")


def test_every_method_is_refused_what_it_has_no_shape_for():
    """With one head against two, those that compare heads; with one layer, pkd; and no other."""
    refused = {
        name
        for name in METHODS
        if methods(name).check(ModelShape(3, 16, 2), ModelShape(1, 8, 1), TASK)
    }
    assert refused == {"tinybert", "minilm", "pkd"}
