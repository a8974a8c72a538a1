"""Teachers that are made here: fine-tuned, or trained from scratch; resumable, and made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

from tune_distill import teacher
from tune_distill.errors import TeacherError
from tune_distill.spec import FitSpec, TeacherSpec, TrainSpec
from tune_distill.tasks import Rows, Task, head
from tune_distill.tasks.rows import digest as digest_of
from tune_distill.teacher import Recipe, builtin
from tune_distill.teacher.loading import digest, load, load_tokenizer

LENGTH = 12
WORDS = {"good": 1, "great": 1, "fine": 1, "bad": 0, "dull": 0, "poor": 0}


def films(rows: int, seed: int) -> Rows:
    """The label is that of the one word of WORDS in the text."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(list(WORDS), rows)
    texts = [f"a {word} film, number {rng.integers(9)}" for word in chosen]
    return Rows((texts,), np.array([WORDS[word] for word in chosen]))


@pytest.fixture(scope="module")
def task() -> Task:
    splits = films(240, 0), films(60, 1), films(60, 2)
    return Task("films", *splits, ("negative", "positive"), "accuracy", "these rows")


@pytest.fixture(autouse=True)
def recipe(monkeypatch) -> Recipe:
    """A built-in teacher that is small enough for a test."""
    small = Recipe(
        layers=1,
        hidden_size=16,
        heads=2,
        intermediate_size=16,
        dropout=0.1,
        initializer_range=0.02,
        vocabulary=80,
        train=TrainSpec(learning_rate=1e-2, batch_size=16, epochs=4),
    )
    monkeypatch.setattr(builtin, "SMALL", small)
    return small


@pytest.fixture
def base(tmp_path, task) -> Path:
    """A pre-trained encoder without a head."""
    place = tmp_path / "base"
    tokenizer = builtin.train_tokenizer(task.train.texts[0], 80, LENGTH)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=LENGTH,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        BertModel(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def specs(base: Path) -> dict[str, TeacherSpec]:
    fit = FitSpec(base=str(base), learning_rate=1e-2, batch_size=16, epochs=4)
    return {"fit": TeacherSpec(fit=fit), "builtin": TeacherSpec(builtin="small")}


def resolve(spec: TeacherSpec, task: Task, root: Path, say=lambda line: None) -> Path:
    return teacher.resolve(spec, task, LENGTH, root, say)


@pytest.mark.parametrize("kind", ["fit", "builtin"])
def test_a_made_teacher_learns_the_task_and_names_its_classes(kind, base, task, tmp_path):
    said: list[str] = []
    folder = resolve(specs(base)[kind], task, tmp_path / "cache", said.append)
    assert [line for line in said if "epoch 4 of 4" in line]
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    made = tokenizer(["a dull film, number 1", "a fine film, number 2"], return_tensors="pt")
    with torch.no_grad():
        assert model(**made).logits.argmax(-1).tolist() == [0, 1]
    assert model.config.id2label == {0: "negative", 1: "positive"}
    # The last line says the score of the last epoch on the search split: separable by one word.
    assert float(said[-1].rpartition("accuracy ")[2].split()[0]) == 1.0


@pytest.mark.parametrize("kind", ["fit", "builtin"])
def test_a_second_search_trains_nothing(kind, base, task, tmp_path):
    spec = specs(base)[kind]
    first = resolve(spec, task, tmp_path / "cache")
    said: list[str] = []
    assert resolve(spec, task, tmp_path / "cache", said.append) == first
    assert said == []
    assert not list(first.parent.glob("*.checkpoint"))


@pytest.mark.parametrize("kind", ["fit", "builtin"])
def test_a_training_that_is_interrupted_continues_to_the_same_teacher(kind, base, task, tmp_path):
    spec = specs(base)[kind]
    whole = resolve(spec, task, tmp_path / "whole")

    def interrupt(line: str) -> None:
        if "epoch 3 of 4" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve(spec, task, tmp_path / "cache", interrupt)
    assert not (tmp_path / "cache" / "teachers" / whole.name).exists()
    said: list[str] = []
    resumed = resolve(spec, task, tmp_path / "cache", said.append)
    assert "continues from" in said[0]
    assert [line for line in said if "epoch 3 of 4" in line]
    assert not [line for line in said if "epoch 2 of 4" in line]
    assert digest(load(resumed)) == digest(load(whole))
    assert not list(resumed.parent.glob("*.checkpoint"))


def test_what_a_teacher_is_made_from_names_its_folder(base, task, tmp_path):
    root = tmp_path / "cache"
    first = resolve(specs(base)["fit"], task, root)
    other = FitSpec(base=str(base), learning_rate=1e-2, batch_size=16, epochs=1)
    assert resolve(TeacherSpec(fit=other), task, root) != first
    (tmp_path / "elsewhere").mkdir()
    moved = base.rename(tmp_path / "elsewhere" / base.name)
    assert resolve(specs(moved)["fit"], task, root) == first


def test_a_head_of_another_task_is_replaced(base, task, tmp_path):
    place = tmp_path / "three"
    model = BertForSequenceClassification(BertConfig.from_pretrained(base, num_labels=3))
    model.save_pretrained(place)
    load_tokenizer(base).save_pretrained(place)
    folder = resolve(specs(place)["fit"], task, tmp_path / "cache")
    assert load(folder).config.num_labels == 2


def test_a_base_without_an_encoder_is_refused(base, task, tmp_path):
    from safetensors.torch import load_file, save_file

    weights = load_file(base / "model.safetensors")
    kept = {name: t for name, t in weights.items() if "encoder" not in name}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TeacherError, match=r"no weights for bert\.encoder.*not a pre-trained"):
        resolve(specs(base)["fit"], task, tmp_path / "cache")


def test_a_base_whose_positions_are_too_few_is_refused(base, task, tmp_path):
    with pytest.raises(TeacherError, match=r"^teacher\.fit\.base: .*at most 12 tokens"):
        teacher.resolve(specs(base)["fit"], task, LENGTH + 1, tmp_path, lambda line: None)


def test_a_regression_is_fine_tuned_too(base, task, tmp_path):
    targets = {
        split: Rows(getattr(task, split).texts, getattr(task, split).labels.astype(np.float32))
        for split in ("train", "search", "heldout")
    }
    numbers = Task("ratings", **targets, label_names=(), metric="pearson", digest="ratings")
    said: list[str] = []
    folder = resolve(specs(base)["fit"], numbers, tmp_path / "cache", said.append)
    assert load(folder).config.num_labels == 1
    assert float(said[-1].rpartition("pearson ")[2].split()[0]) > 0.9


def test_a_teacher_of_several_labels_learns_each(base, tmp_path):
    # From BERT's small weights so narrow a model finds one label alone on some processors.
    wide = BertConfig.from_pretrained(base, initializer_range=0.3, hidden_size=32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        BertModel(wide).save_pretrained(base)

    def split(rows: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, (rows, 2)).astype(np.float32)
        words = [("bad", "good"), ("dull", "great")]  # the second of each is its label
        texts = [f"a {words[0][int(one)]} and {words[1][int(two)]} film" for one, two in labels]
        return Rows((texts,), labels)

    splits = split(240, 0), split(60, 1), split(60, 2)
    task = Task("films", *splits, ("kind", "witty"), "f1_micro", "several")
    fit = FitSpec(base=str(base), learning_rate=5e-3, batch_size=16, epochs=24)
    said: list[str] = []
    folder = resolve(TeacherSpec(fit=fit), task, tmp_path / "cache", said.append)
    model = load(folder)
    assert model.config.problem_type == "multi_label_classification"
    assert model.config.id2label == {0: "kind", 1: "witty"}
    made = load_tokenizer(folder)(["a good and dull film", "a bad and dull film"])
    with torch.no_grad():
        assert (model(torch.tensor(made["input_ids"])).logits > 0).tolist() == [
            [True, False],
            [False] * 2,
        ]
    assert float(said[-1].rpartition("f1_micro ")[2].split()[0]) == 1.0
    for spec in specs(base).values():
        outline, _ = teacher.outline(spec, task, LENGTH)
        assert outline.problem_type == "multi_label_classification"
        assert outline.id2label == {0: "kind", 1: "witty"}


@pytest.mark.parametrize("kind", ["fit", "builtin"])
def test_texts_without_labels_leave_the_teacher_as_it_is(kind, base, task, tmp_path):
    texts = (task.train.texts[0] + ["an unseen word and another"] * 40,)
    labels = np.concatenate((task.train.labels, np.full(40, -100)))
    splits = {"train": Rows(texts, labels), "search": task.search, "heldout": task.heldout}
    names, metric = task.label_names, task.metric
    plain = Task(
        "films",
        **splits | {"train": task.train},
        label_names=names,
        metric=metric,
        digest=digest_of((task.train, task.search, task.heldout), names),
    )
    more = Task("films", **splits, label_names=names, metric=metric, digest="with more texts")
    root = tmp_path / "cache"
    assert resolve(specs(base)[kind], more, root) == resolve(specs(base)[kind], plain, root)
    _, tokenizer = teacher.outline(specs(base)[kind], more, LENGTH)
    assert "unseen" not in tokenizer.get_vocab()


def test_the_vocabulary_is_the_same_each_time(task):
    texts = task.train.texts[0]
    first, second = (builtin.train_tokenizer(texts, 60, LENGTH) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert len(first) <= 60
    assert [first.get_vocab()[token] for token in builtin.SPECIAL] == [0, 1, 2, 3, 4]


def test_the_tokenizer_is_berts(task):
    tokenizer = builtin.train_tokenizer(task.train.texts[0], 80, LENGTH)
    one = tokenizer("A GOOD film")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(one) == ["[CLS]", "a", "good", "film", "[SEP]"]
    pair = tokenizer("good", "bad")
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1]
    assert tokenizer.model_max_length == LENGTH


@pytest.mark.parametrize("kind", ["fit", "builtin"])
def test_the_outline_is_that_of_the_teacher_to_be(kind, base, task, tmp_path):
    shape, tokenizer = teacher.outline(specs(base)[kind], task, LENGTH)
    folder = resolve(specs(base)[kind], task, tmp_path / "cache")
    made = load(folder).config
    for name in ("hidden_size", "num_hidden_layers", "vocab_size", "id2label", "num_labels"):
        assert getattr(shape, name) == getattr(made, name), name
    assert tokenizer.get_vocab() == load_tokenizer(folder).get_vocab()


def test_the_shipped_recipe_makes_a_bert_of_its_shape(monkeypatch):
    monkeypatch.undo()
    recipe = builtin.SMALL
    model = builtin.new_model(recipe, 100, head(("no", "yes"), "single_label"), 64)
    assert model.config.num_hidden_layers == recipe.layers
    assert model.config.hidden_size == recipe.hidden_size
    again = builtin.new_model(recipe, 100, head(("no", "yes"), "single_label"), 64)
    assert digest(model) == digest(again)


def hidden(task: Task, labelled: int) -> Task:
    """The task with so many labels; the other rows are texts."""
    labels = task.train.labels.copy()
    labels[labelled:] = -100
    rows = Rows(task.train.texts, labels), task.search, task.heldout
    return Task("films", *rows, task.label_names, task.metric, digest_of(rows, task.label_names))


def test_a_semi_supervised_teacher_is_a_plain_classifier_and_goes_on_when_interrupted(
    base, task, tmp_path
):
    few = hidden(task, 24)
    knobs = {"base": str(base), "learning_rate": 1e-2, "batch_size": 16, "epochs": 2}
    plain, semi = (TeacherSpec(fit=FitSpec(**knobs, **more)) for more in ({}, {"ganbert": {}}))
    whole = resolve(semi, few, tmp_path / "whole")

    def interrupt(line: str) -> None:
        if "epoch 2 of 2" in line:  # the first is in the checkpoint
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve(semi, few, tmp_path / "cache", interrupt)
    resumed = resolve(semi, few, tmp_path / "cache")
    assert digest(load(resumed)) == digest(load(whole))
    assert resumed.name == whole.name

    other = resolve(plain, few, tmp_path / "cache")
    assert other.name != resumed.name
    assert load(resumed).config.num_labels == 2
    assert load(resumed).state_dict().keys() == load(other).state_dict().keys()
    made = load_tokenizer(resumed)(
        ["a dull film, number 1", "a fine film"], return_tensors="pt", padding=True
    )
    with torch.no_grad():
        assert load(resumed)(**made).logits.shape == (2, 2)
    # It has learned from the other texts, so it is another teacher where these are others.
    assert resolve(semi, few.labelled(), tmp_path / "cache").name != resumed.name
    assert resolve(plain, few.labelled(), tmp_path / "cache") == other


def test_a_semi_supervised_teacher_without_classes_is_refused(base, task, tmp_path):
    targets = [
        Rows(rows.texts, rows.labels.astype(np.float32))
        for rows in (task.train, task.search, task.heldout)
    ]
    numbers = Task("ratings", *targets, label_names=(), metric="pearson", digest="ratings")
    spec = TeacherSpec(fit=FitSpec(base=str(base), ganbert={}))
    for asked in (
        lambda: resolve(spec, numbers, tmp_path),
        lambda: teacher.outline(spec, numbers, 12),
    ):
        with pytest.raises(TeacherError, match=r"^teacher\.fit\.ganbert: ganbert adds a class"):
            asked()
