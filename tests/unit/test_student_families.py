"""Students of four families: plain Hugging Face models, counted by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.models.albert.modeling_albert import AlbertForSequenceClassification
from transformers.models.bert.modeling_bert import BertForSequenceClassification
from transformers.models.distilbert.modeling_distilbert import DistilBertForSequenceClassification
from transformers.models.roberta.modeling_roberta import RobertaForSequenceClassification

from tests import tiny
from tests.unit.test_flops import run_and_counted
from tune_distill import student
from tune_distill.measure.flops import counted, flops
from tune_distill.methods import FineTune, ModelShape, TaskShape
from tune_distill.spec import StudentSpec

CLASSES = {
    "bert": BertForSequenceClassification,
    "distilbert": DistilBertForSequenceClassification,
    "roberta": RobertaForSequenceClassification,
    "albert": AlbertForSequenceClassification,
}
TEACHER = tiny.teacher("bert", layers=4, hidden_size=32, heads=4, pad_token_id=3).config


def spec(**knobs):
    return StudentSpec(
        **{"layers": 3, "hidden_size": 16, "heads": 2, "intermediate_size": 24, **knobs}
    )


@pytest.fixture(params=student.FAMILIES)
def family(request):
    return request.param


def made(family, names=("a", "b"), **knobs):
    return student.build(student.config(spec(family=family, **knobs), TEACHER, names), seed=1)


def padded():
    ids = torch.tensor([[1, 9, 20, 7, 2], [1, 30, 2, 3, 3]])
    return {"input_ids": ids, "attention_mask": (ids != 3).long()}


def test_every_family_has_its_plain_class(family):
    assert set(CLASSES) == set(student.FAMILIES)
    model = made(family)
    assert type(model) is CLASSES[family]
    assert student.shape(model.config) == ModelShape(layers=3, hidden_size=16, heads=2)
    assert not model.training
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "knobs", [{}, {"layers": 1, "heads": 4, "hidden_size": 20, "dropout": 0.3}]
)
@pytest.mark.parametrize("names", [("a", "b"), (), ("a", "b", "c")])
def test_the_arithmetic_counts_what_is_built(family, names, knobs):
    model = made(family, names, **knobs)
    assert student.parameters(model.config) == model.num_parameters()
    assert student.parameters(model.config) == sum(t.numel() for t in model.state_dict().values())


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("embedding", [None, 4, 16, 24])
def test_the_arithmetic_knows_what_albert_shares(groups, embedding):
    model = made("albert", groups=groups, embedding_size=embedding)
    assert student.parameters(model.config) == model.num_parameters()
    # One block of 16: attention 4 (16^2 + 16), feed-forward 2 x 16 x 24 + 24 + 16, norms 4 x 16.
    block = 4 * 272 + 808 + 64
    lean = made("albert", groups=1, embedding_size=embedding)
    assert model.num_parameters() - lean.num_parameters() == (groups - 1) * block


def test_the_known_counts_of_published_models():
    # Of the hub's own models: the papers round them to 66M, 12M, 125M; with a head of 2 classes.
    distilbert = AutoConfig.for_model("distilbert")
    assert student.parameters(distilbert) == 66_955_010
    albert = AutoConfig.for_model(
        "albert", hidden_size=768, num_attention_heads=12, intermediate_size=3072
    )
    assert student.parameters(albert) == 11_685_122
    roberta = AutoConfig.for_model("roberta", max_position_embeddings=514, type_vocab_size=1)
    assert student.parameters(roberta) == 124_647_170


@pytest.mark.parametrize("length", [1, 7, 29])
def test_flops_are_those_that_pytorch_counts(family, length):
    model = made(family, ("a", "b", "c"))
    assert flops(model.config, np.array([length])) == run_and_counted(model, length)
    assert counted(model, np.array([length])) == pytest.approx(
        flops(model.config, np.array([length])), rel=1e-9
    )


def test_sharing_saves_size_and_no_operations():
    lengths = np.array([5, 20])
    shared, own = (made("albert", groups=groups).config for groups in (1, 3))
    assert student.parameters(shared) < student.parameters(own)
    assert flops(shared, lengths) == flops(own, lengths)


@pytest.mark.parametrize("family", ["electra", "xlnet", "xlm-roberta"])
def test_teachers_of_other_families_are_counted(family):
    model = tiny.teacher(family)
    lengths = np.array([3, 10, 31])
    expected = np.mean([run_and_counted(model, int(n)) for n in lengths])
    assert counted(model, lengths) == pytest.approx(expected, rel=1e-9)


def test_a_saved_student_reloads_with_the_same_logits(family, tmp_path):
    model = made(family)
    model.save_pretrained(tmp_path)
    again, found = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert type(again) is CLASSES[family]
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    with torch.no_grad():
        assert torch.equal(again(**padded()).logits, model(**padded()).logits)


def test_dropout_reaches_every_dropout_of_a_student(family):
    model = made(family, dropout=0.25)
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.25}


@pytest.mark.parametrize("source", ["bert", "roberta", "distilbert", "albert", "electra", "xlnet"])
def test_a_random_student_reads_all_that_a_teacher_of_any_family_does(family, source):
    config = tiny.teacher(source, layers=1).config
    wanted = spec(family=family, init="random")
    assert student.infeasible(wanted, config, FineTune(), TaskShape(2)) == []
    model = student.build(student.config(wanted, config, ("a", "b")), seed=0)
    ids = torch.arange(32)[None] % 36 + 4
    assert model(input_ids=ids).logits.shape == (1, 2)
    if source == "xlnet" and family in ("bert", "albert"):  # 0, 1, and 2 for its <cls>
        assert model(input_ids=ids, token_type_ids=ids % 3).logits.shape == (1, 2)


def test_roberta_counts_positions_from_the_paddings_number_on():
    config = student.config(spec(family="roberta"), TEACHER, ("a", "b"))
    assert (config.max_position_embeddings, config.pad_token_id) == (32 + 3 + 1, 3)
    assert config.type_vocab_size == 1
    model = student.build(config, seed=0)
    model(input_ids=torch.full((1, 32), 7))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, 33), 7))
    back = student.config(spec(), config, ("a", "b"))
    assert back.max_position_embeddings == 32


def test_albert_has_the_embeddings_of_its_paper_unless_it_is_narrower():
    assert made("albert", hidden_size=16).config.embedding_size == 16
    wide = tiny.teacher("bert", hidden_size=256).config
    wanted = spec(family="albert", hidden_size=256)
    assert student.config(wanted, wide, ("a", "b")).embedding_size == 128
    assert made("albert", embedding_size=8).config.embedding_size == 8
    narrow = tiny.teacher("electra", embedding_size=4).config
    assert student.config(spec(family="albert"), narrow, ("a", "b")).embedding_size == 4


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"family": "bert", "embedding_size": 8}, "embedding_size is for family: albert alone"),
        ({"family": "roberta", "groups": 2}, "groups is for family: albert alone"),
        ({"family": "albert", "groups": 4}, "4 groups can't share the student's 3 layers"),
        ({"family": "albert", "embedding_size": 33}, "embedding size 33 exceeds the teacher's 32"),
        ({"init": "1,2"}, "the layers 1,2 are 2, and 3"),
        ({"init": "1,2,5"}, "not all within the teacher's 1 to 4"),
        ({"init": "3,2,1"}, "don't rise"),
    ],
)
def test_what_a_family_cant_be_is_told_why(knobs, words):
    (reason,) = student.infeasible(spec(**knobs), TEACHER, FineTune(), TaskShape(2))
    assert words in reason


def test_a_roberta_needs_to_know_the_padding():
    config = tiny.teacher("bert", layers=4, hidden_size=32, pad_token_id=None).config
    wanted = spec(family="roberta", init="random")
    (reason,) = student.infeasible(wanted, config, FineTune(), TaskShape(2))
    assert "pad_token_id" in reason


@pytest.mark.parametrize("init", ["1,", "a", "", "1;2", "-1", "random,1", "Uniform"])
def test_an_init_that_is_neither_rule_nor_blocks_is_refused(init):
    with pytest.raises(ValueError, match="pattern"):
        spec(init=init)


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A BERT teacher's folder, whose tokenizer makes token types."""
    folder = tmp_path_factory.mktemp("teacher")
    tiny.write_teacher(folder, layers=1)
    return folder


def test_an_exported_student_works_in_a_pipeline(family, taught, tmp_path):
    tokenizer, source = AutoTokenizer.from_pretrained(taught), AutoConfig.from_pretrained(taught)
    wanted = StudentSpec(family=family, layers=1, hidden_size=16, heads=2)
    config = student.config(wanted, source, ("negative", "positive"))
    model = student.build(config, seed=0)
    own = student.matched(tokenizer, model)
    model.save_pretrained(tmp_path)
    own.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    typed = family in ("bert", "albert")
    assert ("token_type_ids" in again.model_input_names) is typed
    assert "token_type_ids" in tokenizer.model_input_names  # the teacher's is left as it was
    texts = ["the film was dull", "a lovely meal, and superb"]
    assert again(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    classify = pipeline("text-classification", str(tmp_path), device="cpu")
    found = classify(texts, top_k=1)
    with torch.no_grad():
        for text, (answer,) in zip(texts, found, strict=True):
            inputs = again(text, return_tensors="pt")
            chances = model(**inputs).logits.softmax(-1)[0]
            assert answer["label"] == config.id2label[int(chances.argmax())]
            assert answer["score"] == pytest.approx(float(chances.max()), abs=1e-5)
