"""A student's config, what forbids it, its parameters, and how it is built."""

from __future__ import annotations

import pytest
import torch
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.distilbert.configuration_distilbert import DistilBertConfig
from transformers.models.mobilebert.configuration_mobilebert import MobileBertConfig
from transformers.models.roberta.configuration_roberta import RobertaConfig
from transformers.models.xlnet.configuration_xlnet import XLNetConfig

from tune_distill import student
from tune_distill.measure.size import size_mb
from tune_distill.methods import KD, FineTune, ModelShape, TaskShape
from tune_distill.methods.pkd import PKD
from tune_distill.spec import StudentSpec

TEACHER = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=4,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=20,
    hidden_act="relu",
    layer_norm_eps=1e-7,
    pad_token_id=3,
)
TWO = TaskShape(2)


def spec(**knobs):
    return StudentSpec(**{"layers": 2, "hidden_size": 16, "heads": 2, **knobs})


def test_a_student_reads_tokens_as_its_teacher_does():
    made = student.config(spec(), TEACHER, ("negative", "positive"))
    for name in (
        "vocab_size",
        "max_position_embeddings",
        "type_vocab_size",
        "pad_token_id",
        "hidden_act",
        "layer_norm_eps",
    ):
        assert getattr(made, name) == getattr(TEACHER, name), name


def test_a_student_has_the_drawn_shape_and_dropout():
    made = student.config(spec(intermediate_ratio=1.5, dropout=0.25), TEACHER, ("a", "b"))
    assert student.shape(made) == ModelShape(layers=2, hidden_size=16, heads=2)
    assert made.intermediate_size == 24
    assert made.hidden_dropout_prob == made.attention_probs_dropout_prob == 0.25


def test_a_task_without_class_names_takes_the_teachers():
    named = BertConfig(id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    numbers = ("LABEL_0", "LABEL_1")
    assert student.config(spec(), named, numbers).id2label == {0: "bad", 1: "good"}
    assert student.config(spec(), named, ("no", "yes")).id2label == {0: "no", 1: "yes"}
    three = (*numbers, "LABEL_2")
    assert student.config(spec(), named, three).id2label == dict(enumerate(three))


def test_the_feed_forward_blocks_are_as_wide_as_the_teachers_for_their_hidden_size():
    # the teacher's ratio is 64 / 32 = 2, the student is 16 wide
    assert student.config(spec(), TEACHER, ("a", "b")).intermediate_size == 32


def test_the_label_names_are_the_tasks():
    made = student.config(spec(), TEACHER, ("entails", "neutral", "contradicts"))
    assert made.num_labels == 3
    assert made.id2label == {0: "entails", 1: "neutral", 2: "contradicts"}
    assert made.label2id == {"entails": 0, "neutral": 1, "contradicts": 2}
    assert made.problem_type == "single_label_classification"


def test_a_regression_has_one_output():
    made = student.config(spec(), TEACHER, ())
    assert made.num_labels == 1
    assert made.problem_type == "regression"


def test_a_half_precision_teacher_makes_no_half_precision_student():
    half = BertConfig(**{**TEACHER.to_dict(), "dtype": "float16"})
    built = student.build(student.config(spec(), half, ("a", "b")), seed=0)
    assert {p.dtype for p in built.parameters()} == {torch.float32}


@pytest.mark.parametrize("family", [DistilBertConfig, RobertaConfig])
def test_a_random_student_learns_from_any_family(family):
    teacher = family(vocab_size=50, max_position_embeddings=20)
    wanted = spec(init="random")
    assert student.infeasible(wanted, teacher, KD(), TWO) == []
    built = student.build(student.config(wanted, teacher, ("a", "b")), seed=0)
    assert built(input_ids=torch.tensor([[5, 6]])).logits.shape == (1, 2)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"heads": 3}, "3 heads don't divide the student's hidden size 16"),
        ({"layers": 5}, "layers 5 exceeds the teacher's 4"),
        ({"hidden_size": 36}, "hidden size 36 exceeds the teacher's 32"),
        ({"intermediate_size": 65}, "intermediate size 65 exceeds the teacher's 64"),
    ],
)
def test_an_infeasible_student_is_told_why(knobs, words):
    reasons = student.infeasible(spec(intermediate_ratio=None, **knobs), TEACHER, FineTune(), TWO)
    assert any(words in reason for reason in reasons), reasons


@pytest.mark.parametrize("knobs", [{"layers": 5}, {"hidden_size": 36}, {"intermediate_size": 65}])
def test_a_random_student_may_be_larger_than_its_teacher(knobs):
    assert student.infeasible(spec(init="random", **knobs), TEACHER, FineTune(), TWO) == []


def test_a_student_as_large_as_its_teacher_is_feasible():
    wanted = spec(layers=4, hidden_size=32, intermediate_size=64)
    assert student.infeasible(wanted, TEACHER, FineTune(), TWO) == []


def test_every_reason_is_given_at_once():
    # heads, layers, hidden size, intermediate size 2 x 36, and the method's own about its layers
    wanted = spec(layers=9, hidden_size=36, heads=5)
    assert len(student.infeasible(wanted, TEACHER, PKD(), TWO)) == 5


def test_a_teacher_of_another_layout_is_named():
    (reason,) = student.infeasible(spec(), XLNetConfig(), FineTune(), TWO)
    assert "xlnet" in reason
    assert "random" in reason
    (reason,) = student.infeasible(spec(), MobileBertConfig(), FineTune(), TWO)
    assert "mobilebert" in reason
    assert "distilbert, electra, roberta" in reason


SHAPES = [
    # by hand: tables (30522 + 512 + 2) H; L4-H312 has TinyBERT's 14,350,248 and a head of 626
    (30522, 512, 2, 128, 512, 2, 4_386_178),
    (30522, 512, 4, 312, 1200, 2, 14_350_874),
    (30522, 512, 6, 384, 1536, 2, 22_713_986),
]


@pytest.mark.parametrize(("vocab", "positions", "layers", "hidden", "inner", "labels", "n"), SHAPES)
def test_the_arithmetic_gives_the_known_counts(vocab, positions, layers, hidden, inner, labels, n):
    made = BertConfig(
        vocab_size=vocab,
        max_position_embeddings=positions,
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=inner,
        num_labels=labels,
    )
    assert student.parameters(made) == n
    assert size_mb(student.parameters(made)) == pytest.approx(4 * n / 1e6, abs=0)


@pytest.mark.parametrize("labels", [1, 2, 7])
@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize(("layers", "hidden", "inner"), [(1, 8, 12), (3, 24, 40), (5, 16, 64)])
def test_the_arithmetic_counts_what_is_built(layers, hidden, inner, labels, segments):
    made = BertConfig(
        vocab_size=31,
        max_position_embeddings=17,
        type_vocab_size=segments,
        num_hidden_layers=layers,
        hidden_size=hidden,
        intermediate_size=inner,
        num_attention_heads=4,
        num_labels=labels,
    )
    saved = BertForSequenceClassification(made).state_dict().values()
    assert student.parameters(made) == sum(t.numel() for t in saved)
    assert size_mb(student.parameters(made)) * 1e6 == pytest.approx(
        sum(t.nbytes for t in saved), abs=1e-6
    )


def test_the_seed_alone_decides_the_weights():
    made = student.config(spec(), TEACHER, ("a", "b"))
    first = student.build(made, seed=5).state_dict()
    torch.rand(7)
    again, other = (
        student.build(made, seed=5).state_dict(),
        student.build(made, seed=6).state_dict(),
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    assert not torch.equal(first[name], other[name])


def test_building_leaves_the_global_generator_as_it_was():
    before = torch.random.get_rng_state()
    student.build(student.config(spec(), TEACHER, ("a", "b")), seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_building_never_seeds_the_gpus(monkeypatch):
    def fail(*_):
        raise AssertionError("a GPU's generator was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    student.build(student.config(spec(), TEACHER, ("a", "b")), seed=5)
