"""A teacher that has not learned its task is refused, with what is probably wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from transformers import BertConfig, BertForSequenceClassification

from tune_distill import tasks, teacher
from tune_distill.errors import TeacherError
from tune_distill.spec import TaskSpec
from tune_distill.tasks import Rows, Task
from tune_distill.teacher import builtin, least_score
from tune_distill.teacher.loading import load, load_tokenizer
from tune_distill.teacher.store import keep

LABELS = np.array([0] * 40 + [1] * 60)
TEXTS = ["bad" if label == 0 else "good" for label in LABELS]


def knows(answers: dict[str, int], tokenizer, classes: int = 2) -> BertForSequenceClassification:
    """A teacher by construction: the answer to a one-word text is the class of its word.

    Without blocks, what the head sees of [CLS] would not depend on the word; so the one block
    attends evenly and adds the mean of all positions' embeddings, where words are unit vectors.
    """
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=8,
        num_labels=classes,
    )
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        for word, answer in answers.items():
            model.bert.embeddings.word_embeddings.weight[tokenizer.vocab[word], answer] = 1.0
        block = model.bert.encoder.layer[0]
        for linear in (
            block.attention.self.value,
            block.attention.output.dense,
            model.bert.pooler.dense,
        ):
            linear.weight.copy_(torch.eye(8))
        model.classifier.weight.copy_(torch.eye(classes, 8))
    return model


@pytest.fixture(scope="module")
def tokenizer():
    return builtin.train_tokenizer(["good bad odd"] * 9, 40, 8)


@pytest.fixture
def prepared(tokenizer, tmp_path):
    rows = Rows((TEXTS,), LABELS)
    task = Task("words", rows, rows, rows, ("negative", "positive"), "accuracy", "words")
    return tasks.prepare(
        TaskSpec(builtin="reviews", max_length=8), tokenizer, tmp_path / "tasks", task
    )


def kept(model, tokenizer, tmp_path: Path) -> Path:
    folder = tmp_path / "teachers" / "one"
    keep(model, tokenizer, folder, {"model": "someone/their-teacher"})
    return folder


def test_a_teacher_that_knows_the_task_passes(prepared, tokenizer, tmp_path):
    folder = kept(knows({"bad": 0, "good": 1}, tokenizer), tokenizer, tmp_path)
    found = teacher.check(folder, prepared)
    assert (found.metric, found.score, found.rows) == ("accuracy", 1.0, 100)
    oracle = binomtest(100, 100).proportion_ci(method="wilson")
    assert (found.interval.low, found.interval.high) == pytest.approx((oracle.low, oracle.high))
    assert found.floor == pytest.approx(binomtest(60, 100).proportion_ci(method="wilson").high)


def test_a_constant_teacher_is_refused(prepared, tokenizer, tmp_path):
    folder = kept(knows({"bad": 1, "good": 1}, tokenizer), tokenizer, tmp_path)
    # 60 of 100 rows are positive. Wilson's interval of 60 in 100: 0.5020 to 0.6906.
    with pytest.raises(
        TeacherError,
        match=r"someone/their-teacher: accuracy 0\.6000 \(95 % interval 0\.5020 to 0\.6906\) on "
        r"the 100 search rows of words, below the floor of 0\.6906; always predicting the same "
        r"gives 0\.6000\. The commonest mistake is a head that was never fine-tuned",
    ):
        teacher.check(folder, prepared)


def test_classes_in_another_order_are_recognised(prepared, tokenizer, tmp_path):
    folder = kept(knows({"bad": 1, "good": 0}, tokenizer), tokenizer, tmp_path)
    with pytest.raises(
        TeacherError,
        match=r"accuracy 0\.0000.*another order: taken as 0 = its 1, 1 = its 0, it "
        r"scores 1\.0000",
    ):
        teacher.check(folder, prepared)


def test_the_studys_floor_goes_first(prepared, tokenizer, tmp_path):
    folder = kept(knows({"bad": 1, "good": 1}, tokenizer), tokenizer, tmp_path)
    assert teacher.check(folder, prepared, 0.6).floor == 0.6
    with pytest.raises(TeacherError, match=r"below the floor of 0\.6100"):
        teacher.check(folder, prepared, 0.61)


def test_a_score_is_measured_once(prepared, tokenizer, tmp_path, monkeypatch):
    folder = kept(knows({"bad": 0, "good": 1}, tokenizer), tokenizer, tmp_path)
    first = teacher.check(folder, prepared)
    measured = []
    monkeypatch.setattr(
        "tune_distill.teacher.floor.predict", lambda *a: measured.append(a) or np.zeros((100, 2))
    )
    assert teacher.check(folder, prepared) == first
    assert not measured
    (memory,) = (folder / "checks").iterdir()
    memory.write_text("{")
    with pytest.raises(TeacherError):
        teacher.check(folder, prepared)  # what can't be read is measured, here as all zeros
    assert measured


def test_answers_that_are_filed_are_not_asked_for_again(tokenizer, prepared, tmp_path):
    folder = kept(knows({}, tokenizer), tokenizer, tmp_path)  # knows nothing: always the same
    answers = np.eye(2, dtype=np.float32)[LABELS]
    answers[:3] = answers[:3, ::-1]
    found = teacher.check(folder, prepared, answers=lambda: answers)
    assert found.score == 97 / 100
    assert found == teacher.check(folder, prepared, answers=lambda: None)  # remembered


def test_a_failure_is_not_remembered(prepared, tokenizer, tmp_path):
    folder = kept(knows({"bad": 1, "good": 1}, tokenizer), tokenizer, tmp_path)
    for _ in range(2):
        with pytest.raises(TeacherError):
            teacher.check(folder, prepared)
    assert not (folder / "checks").exists()


@pytest.mark.parametrize("metric", ["accuracy", "f1", "mcc"])
def test_no_constant_prediction_reaches_the_floor(metric):
    for constant in np.eye(2):
        score = tasks.score(metric, np.tile(constant, (100, 1)), LABELS)
        assert score < least_score(metric, LABELS) < 1


@pytest.mark.parametrize("metric", ["accuracy", "f1_micro", "f1_macro"])
def test_no_constant_set_of_labels_reaches_the_floor(metric):
    labels = np.stack([LABELS, np.arange(100) % 4 == 0], axis=1).astype(np.float32)
    for constant in ([1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]):
        score = tasks.score(metric, np.tile(constant, (100, 1)), labels)
        assert score < least_score(metric, labels) < 1


@pytest.mark.parametrize("metric", ["mcc", "pearson", "spearman"])
def test_the_floor_of_an_association_is_its_95_percent_point_under_none(metric):
    # Under independence sqrt(n) times each is asymptotically standard normal: 1.95996 / 10.
    labels = LABELS if metric == "mcc" else np.linspace(0, 5, 100, dtype=np.float32)
    assert least_score(metric, labels) == pytest.approx(0.195996, abs=1e-6)


@pytest.mark.real
def test_the_real_teacher_knows_sst2(shared, tmp_path):
    folder = shared / "teachers" / "minilm-l6-sst2"
    spec = TaskSpec(
        files={
            "train": str(shared / "data/glue/sst2/train.parquet"),
            "validation": str(shared / "data/glue/sst2/validation.parquet"),
        },
        text="sentence",
    )
    import pyarrow.parquet as pq

    table = pq.read_table(shared / "data/glue/sst2/validation.parquet").slice(0, 200)
    rows = Rows((table.column("sentence").to_pylist(),), table.column("label").to_numpy())
    task = Task("sst2", rows, rows, rows, ("negative", "positive"), "accuracy", "200 rows")
    from tune_distill.spec import TeacherSpec

    copy = teacher.resolve(TeacherSpec(model=str(folder)), task, 128, tmp_path, lambda line: None)
    prepared = tasks.prepare(spec, load_tokenizer(copy), tmp_path / "tasks", task)
    assert teacher.check(copy, prepared).score > 0.85
    assert not load(copy).training
