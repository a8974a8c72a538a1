"""Models of all families through one adaptor: against Transformers' own outputs and by hand."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from tests import tiny
from tune_distill import families, signals, student, teacher
from tune_distill.cache.sizes import layouts
from tune_distill.errors import TeacherError
from tune_distill.methods import KD, METHODS, TaskShape
from tune_distill.robustness.pieces import Encoded
from tune_distill.robustness.saliency import _backward
from tune_distill.robustness.scorer import Scorer
from tune_distill.signals import Needs
from tune_distill.spec import StudentSpec
from tune_distill.train import predict

LAYERS, WIDTH = 3, 16
TEACHERS = sorted(families.FAMILIES)
EVERY = tuple(range(LAYERS + 1))
QUERY_KEY_VALUE = {  # of block 2
    "bert": "bert.encoder.layer.1.attention.self.{query,key,value}",
    "roberta": "roberta.encoder.layer.1.attention.self.{query,key,value}",
    "xlm-roberta": "roberta.encoder.layer.1.attention.self.{query,key,value}",
    "camembert": "roberta.encoder.layer.1.attention.self.{query,key,value}",
    "distilbert": "distilbert.transformer.layer.1.attention.{q_lin,k_lin,v_lin}",
    "albert": "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.{query,key,value}",
    "electra": "electra.encoder.layer.1.attention.self.{query,key,value}",
}


@pytest.fixture(scope="module", params=TEACHERS)
def model(request):
    return tiny.teacher(request.param, layers=LAYERS, hidden_size=WIDTH)


@pytest.fixture(scope="module")
def xlnet():
    return tiny.teacher("xlnet", layers=LAYERS, hidden_size=WIDTH)


def batch():
    """Three rows of 5, 3 and 4 tokens, padded on the right as all batches here are."""
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    ids = torch.randint(3, 40, (3, 5), generator=torch.Generator().manual_seed(1)) * mask
    return {"input_ids": ids, "attention_mask": mask}


def test_the_table_covers_the_families_that_the_tests_make():
    assert len(TEACHERS) == 8
    assert set(QUERY_KEY_VALUE) == set(TEACHERS) - {"xlnet"}


@pytest.mark.parametrize("fused", [False, True])
def test_layers_are_those_of_output_hidden_states(model, fused):
    # Transformers has no fused attention for XLNet.
    fused = fused and model.config.model_type != "xlnet"
    model.set_attn_implementation("sdpa" if fused else "eager")
    inputs = batch()
    with torch.no_grad():
        found = signals.run(model, inputs, Needs(logits=True, cls=EVERY, hidden=EVERY))
        expected = model(**inputs, output_hidden_states=True)
    assert torch.equal(found.logits, expected.logits)
    assert len(expected.hidden_states) == LAYERS + 1
    last = inputs["attention_mask"].sum(1) - 1
    read = last if model.config.model_type == "xlnet" else torch.zeros_like(last)
    for layer, state in enumerate(expected.hidden_states):
        assert torch.equal(found.hidden[layer], state)
        assert torch.equal(found.cls[layer], state[torch.arange(3), read])


def test_the_cls_vector_is_what_the_head_reads(model):
    # Of the last layer's states the logits depend on one a row: the CLS vector.
    states = []
    last = model.base_model.get_submodule(families.block(model.config, LAYERS)[0])
    handle = last.register_forward_hook(lambda m, a, out: states.append(out))
    found = signals.run(model, batch(), Needs(logits=True, cls=(LAYERS,), hidden=(LAYERS,)))
    handle.remove()
    state = states[-1][0] if isinstance(states[-1], tuple) else states[-1]
    (gradient,) = torch.autograd.grad(found.scores().sum(), state)
    if families.length_first(model):
        gradient = gradient.transpose(0, 1)
    read = gradient.abs().sum(-1) > 0
    assert read.sum(1).tolist() == [1, 1, 1]
    assert torch.equal(found.hidden[LAYERS][read], found.cls[LAYERS])


@pytest.mark.parametrize("family", QUERY_KEY_VALUE)
def test_queries_keys_and_values_are_those_of_the_blocks_own_weights(family):
    model = tiny.teacher(family, layers=LAYERS, hidden_size=WIDTH)
    with torch.no_grad():
        found = signals.run(model, batch(), Needs(hidden=(1,), qkv=(2,)))
        before, _, names = QUERY_KEY_VALUE[family].partition("{")
        for kind, name in zip(("query", "key", "value"), names.strip("}").split(","), strict=True):
            linear = model.get_submodule(f"{before}{name}")
            expected = found.hidden[1] @ linear.weight.T + linear.bias
            torch.testing.assert_close(getattr(found, kind)[2], expected)


def test_shared_blocks_are_told_apart_by_their_calls():
    # 5 layers in 2 groups: Transformers runs group int(i / 2.5), so blocks 1-3 and 4-5.
    model = tiny.teacher("albert", layers=5, num_hidden_groups=2)
    places = [families.block(model.config, layer) for layer in range(1, 6)]
    path = "encoder.albert_layer_groups.{}.albert_layers.0"
    assert places == [
        (path.format(g), call) for g, call in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    ]
    every = tuple(range(6))
    with torch.no_grad():
        found = signals.run(model, batch(), Needs(hidden=every, qkv=every[1:]))
        expected = model(**batch(), output_hidden_states=True).hidden_states
        for layer in every:
            assert torch.equal(found.hidden[layer], expected[layer])
        for layer in every[1:]:
            group = model.albert.encoder.albert_layer_groups[0 if layer < 4 else 1]
            query = group.albert_layers[0].attention.query(expected[layer - 1])
            torch.testing.assert_close(found.query[layer], query)


@pytest.mark.parametrize("layers", range(1, 13))
def test_every_group_has_a_block(layers):
    for groups in range(1, layers + 1):
        config = AutoConfig.for_model("albert", num_hidden_layers=layers, num_hidden_groups=groups)
        taken = [families.group(config, layer) for layer in range(1, layers + 1)]
        assert sorted(set(taken)) == list(range(groups))
        assert taken == sorted(taken)


def test_no_hook_stays(model):
    qkv = (1,) if model.config.model_type != "xlnet" else ()
    before = hooks(model)
    with torch.no_grad():
        signals.run(model, batch(), Needs(cls=(0,), hidden=(1,), qkv=qkv))
    assert hooks(model) == before


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_the_embeddings_of_any_family_are_cached_as_wide_as_its_blocks(model):
    found = layouts(Needs(hidden=(0,)), tiny.rows(4), model.config)
    with torch.no_grad():
        state = signals.run(model, batch(), Needs(hidden=(0,))).hidden[0]
    assert found["hidden.0"].width == state.shape[-1]


def test_the_queries_of_a_relative_attention_are_refused(xlnet):
    with pytest.raises(TeacherError, match="xlnet model is relative"):
        signals.run(xlnet, batch(), Needs(qkv=(1,)))
    (reason,) = signals.lacking(xlnet.config, Needs(hidden=(1,), qkv=(1,)))
    assert "another family" in reason
    assert signals.lacking(xlnet.config, Needs(cls=(1,), hidden=(0, 3))) == []


def test_a_family_that_is_not_known_gives_its_logits_and_names_those_that_are():
    config = AutoConfig.for_model(
        "mobilebert", vocab_size=40, hidden_size=16, intermediate_size=16, num_hidden_layers=1
    )
    model = AutoModelForSequenceClassification.from_config(config).eval()
    with torch.no_grad():
        found = signals.run(model, batch(), Needs(logits=True))
        assert torch.equal(found.scores(), model(**batch()).logits)
    with pytest.raises(TeacherError, match=r"mobilebert .* albert, bert, camembert, distilbert"):
        signals.run(model, batch(), Needs(cls=(1,)))


def test_an_albert_of_several_blocks_a_group_is_known_by_its_logits_alone():
    config = tiny.teacher("albert", inner_group_num=2).config
    assert signals.lacking(config, Needs(logits=True)) == []
    (reason,) = signals.lacking(config, Needs(hidden=(1,)))
    assert "2 blocks in a group" in reason


@pytest.mark.parametrize("name", ["pkd", "minilm2"])
def test_what_a_teacher_lacks_is_said_before_anything_starts(name, xlnet):
    wanted = StudentSpec(layers=2, hidden_size=WIDTH, heads=2, init="random")
    reasons = student.infeasible(wanted, xlnet.config, METHODS[name](), TaskShape(2))
    assert [reason.partition(":")[0] for reason in reasons] == ["minilm2"] * (name == "minilm2")


# Padding and token types


def alone(model, inputs):
    """The logits of each row by itself, without padding."""
    rows = []
    for row in range(len(inputs["input_ids"])):
        real = inputs["attention_mask"][row].bool()
        rows.append(model(**{n: t[row][real][None] for n, t in inputs.items()}).logits)
    return torch.cat(rows)


def test_a_row_has_the_same_logits_whatever_it_is_padded_with(model):
    with torch.no_grad():
        torch.testing.assert_close(model(**batch()).logits, alone(model, batch()))


def test_xlnet_reads_its_last_real_token_on_whichever_side_the_padding_is(xlnet):
    right = batch() | {"token_type_ids": torch.tensor([[0, 0, 1, 1, 2]] * 3)}
    order = right["attention_mask"].argsort(dim=1, stable=True)
    left = {name: tensor.gather(1, order) for name, tensor in right.items()}
    assert left["attention_mask"][1].tolist() == [0, 0, 1, 1, 1]
    with torch.no_grad():
        torch.testing.assert_close(xlnet(**right).logits, alone(xlnet, right))
        torch.testing.assert_close(xlnet(**left).logits, xlnet(**right).logits)
        padded = {name: tensor for name, tensor in right.items() if name != "attention_mask"}
        torch.testing.assert_close(xlnet(**padded).logits[0], xlnet(**right).logits[0])


def test_xlnets_last_states_are_its_own_without_padding(xlnet):
    with torch.no_grad():
        found = signals.run(xlnet, batch(), Needs(cls=EVERY, hidden=EVERY))
        for row, length in enumerate((5, 3, 4)):
            one = {name: tensor[row : row + 1, :length] for name, tensor in batch().items()}
            expected = xlnet(**one, output_hidden_states=True).hidden_states
            for layer in EVERY:
                torch.testing.assert_close(found.hidden[layer][row, :length], expected[layer][0])
                torch.testing.assert_close(found.cls[layer][row], expected[layer][0, -1])


def test_a_loaded_xlnet_reads_its_last_real_token_in_every_batch(xlnet, tmp_path):
    xlnet.save_pretrained(tmp_path)
    loaded = teacher.load(tmp_path)
    data = tiny.rows(9)
    with torch.no_grad():
        expected = torch.cat(
            [loaded(**data.batch(np.array([n])).inputs()).logits for n in range(9)]
        )
    np.testing.assert_allclose(predict(loaded, data), expected.numpy(), rtol=0, atol=1e-5)


class Letters:
    """As much of a tokenizer as the scorer asks for."""

    pad_token_id, model_input_names = tiny.PAD, ("input_ids", "token_type_ids", "attention_mask")

    def __init__(self, side):
        self.padding_side = side


def test_the_attacks_find_the_gradient_of_each_token_in_any_family(model):
    relative = model.config.model_type == "xlnet"  # and its tokenizers pad on the left
    scorer = Scorer(model, Letters("left" if relative else "right"), max_length=16)
    texts = [Encoded((5, 6, 7, 8), (0, 0, 1, 1)), Encoded((9, 10), (0, 0))]
    gold = np.array([0, 1])
    logits, gradients = _backward(scorer, texts, gold)
    for row, text in enumerate(texts):
        one_logits, one = _backward(scorer, [text], gold[row : row + 1])
        np.testing.assert_allclose(logits[row], one_logits[0], atol=1e-5)
        real = scorer.real(len(text.ids), 4)
        np.testing.assert_allclose(gradients[row][real], one[0], atol=1e-5)
        assert np.abs(one).sum() > 0


def test_token_types_reach_only_the_models_that_know_them(model):
    typed = batch() | {"token_type_ids": torch.tensor([[0, 0, 1, 1, 1]] * 3)}
    with torch.no_grad():
        plain = signals.run(model, batch(), Needs(logits=True)).scores()
        found = signals.run(model, typed, Needs(logits=True)).scores()
    knows = model.config.model_type in ("bert", "albert", "electra", "xlnet")
    assert families.reads_types(model) is knows
    assert torch.equal(plain, found) is not knows
    if "token_type_ids" not in inspect.signature(model.forward).parameters:
        assert model.config.model_type == "distilbert"


def test_a_regression_is_no_concern_of_a_family():
    for family in TEACHERS:
        config = tiny.teacher(family, classes=1).config
        wanted = StudentSpec(layers=2, hidden_size=WIDTH, heads=2, init="random")
        task = TaskShape(1, "regression")
        assert student.infeasible(wanted, config, KD(), task) == KD().check(
            student.shape(config), student.shape(config), task
        )
