"""Students as ONNX: every family, other shapes than the traced one, int8, and what is refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from tests import tiny
from tune_distill.errors import ExportMismatch, SpecError
from tune_distill.forms import onnx
from tune_distill.forms.served import Served
from tune_distill.student import FAMILIES

ROWS, WIDTH = 4, 9


def inputs(model, rows=ROWS, width=WIDTH, seed=0):
    """Rows of 3 to `width` tokens, padded on the right."""
    rng = np.random.default_rng(seed)
    lengths = [width, *rng.integers(3, width, rows - 1)]
    ids = rng.integers(3, tiny.VOCABULARY, (rows, width))
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    made = {"input_ids": torch.from_numpy(ids * mask), "attention_mask": torch.from_numpy(mask)}
    if model.config.model_type in ("bert", "albert"):
        made["token_type_ids"] = torch.from_numpy(rng.integers(0, 2, (rows, width)) * mask)
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Each family's model, with dropout, and its ONNX file."""
    folder, made = tmp_path_factory.mktemp("onnx"), {}

    def once(family):
        if family not in made:
            model = tiny.teacher(family, dropout=0.5)
            path = folder / family / onnx.FLOAT
            onnx.write_onnx(model, inputs(model), path)
            made[family] = model, path
        return made[family]

    return once


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_answers_as_pytorch_does_whatever_the_batch_and_its_padding(written, family):
    model, path = written(family)
    served = Served(path, model)
    assert onnx.verify(served, model, inputs(model)) < 1e-5
    for rows, width in ((1, 3), (7, 20), (2, 30)):  # and far from what was traced
        batch = inputs(model, rows, width, seed=rows)
        with torch.inference_mode():
            error = (served(**batch).logits - model(**batch).logits).abs().max()
        assert error < 1e-5
    assert not model.training
    assert model.config._attn_implementation == "sdpa"


def test_the_batches_that_are_asked_for_differ_from_the_traced_one():
    model = tiny.teacher("bert")
    given = inputs(model)
    found = [tuple(batch["input_ids"].shape) for batch in onnx.shapes(given, 32)]
    lengths = given["attention_mask"].sum(dim=1).tolist()
    assert found == [*((1, length) for length in lengths), (4, 9), (3, 14)]
    wider = list(onnx.shapes(given, 32))[-1]
    assert not wider["attention_mask"][:, 9:].any()
    # A model of 11 positions has room for 2 tokens of padding more, one of 9 for none.
    assert [b["input_ids"].shape[1] for b in onnx.shapes(given, 11)][-1] == 11
    assert len(list(onnx.shapes(given, 9))) == 5


def test_a_file_that_computes_something_else_is_a_mismatch(written):
    _, path = written("bert")
    other = tiny.teacher("bert", seed=1)
    with pytest.raises(ExportMismatch, match=r"ONNX logits differ .* \(allowed .*nothing was"):
        onnx.verify(Served(path, other), other, inputs(other))


def test_int8_is_near_and_leaves_the_root_logger_alone(written, tmp_path):
    model, path = written("bert")
    handlers = list(logging.getLogger().handlers)
    onnx.quantise(path, tmp_path / "int8.onnx")
    assert logging.getLogger().handlers == handlers
    assert logging.root.manager.disable == 0
    int8, batch = Served(tmp_path / "int8.onnx", model), inputs(model)
    with torch.inference_mode():
        found, exact = int8(**batch).logits, model(**batch).logits
    # 7 bits a weight: a hundredth of the weights' range, and some of it in every layer.
    assert 0 < (found - exact).abs().max() < 0.2 * exact.abs().max()


def test_what_is_served_answers_as_onnx_and_has_the_gradient_of_its_twin(written):
    model, path = written("bert")
    other = tiny.teacher("bert", seed=1)  # so that logits and gradient can be told apart
    served, batch = Served(path, other), inputs(model)
    seen = []

    def keep(module, given, output):
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    handle = served.get_input_embeddings().register_forward_hook(keep)
    logits = served(**batch).logits
    (found,) = torch.autograd.grad(logits[:, 0].sum(), seen)
    seen.clear()
    (expected,) = torch.autograd.grad(other(**batch).logits[:, 0].sum(), seen)
    handle.remove()
    with torch.inference_mode():
        torch.testing.assert_close(logits.detach(), model(**batch).logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(found, expected)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxruntime" else True)
    with pytest.raises(SpecError) as caught:
        onnx.require("--int8")
    assert str(caught.value) == (
        "--int8: onnxruntime not installed; pip install 'tune-distill[onnx]' brings what is needed"
    )
