"""Several labels a row, further held-out files, and metrics that suit what is predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from tests import tiny
from tests.unit.test_tasks_source import rows, task
from tune_distill.errors import DataError, SpecError
from tune_distill.measure.accuracy import accuracy
from tune_distill.spec import TaskSpec, resolve
from tune_distill.tasks import Rows, Task, load
from tune_distill.train import predict

NAMES = ("insult", "threat", "toxic")
SETS = [["toxic"], [], ["toxic", "insult"], ["threat", "toxic"]]


def lists(count, salt="", sets=SETS):
    return rows(count, salt, label=lambda row: sets[row % len(sets)])


def columns(count, salt="", yes=1, no=0):
    made = lists(count, salt)
    flags = {name: [yes if name in one else no for one in made["label"]] for name in NAMES}
    return {"sentence": made["sentence"], **flags}


@pytest.mark.parametrize("kind", [".parquet", ".jsonl"])
def test_a_column_of_lists_is_several_labels_a_row(tmp_path, kind):
    got = load(task(tmp_path, lists(60), lists(8, "v"), kind))
    assert (got.kind, got.label_names, got.metric) == ("multi_label", NAMES, "f1_micro")
    assert got.heldout.labels.dtype == np.float32
    # By name: insult, threat, toxic; the second row has none.
    assert got.heldout.labels[:4].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("kind", [".parquet", ".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize(("yes", "no"), [(1, 0), (1.0, 0.0), (True, False)])
def test_a_column_of_0_and_1_for_each_label_says_the_same(tmp_path, kind, yes, no):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one = load(task(tmp_path / "one", lists(60), lists(8, "v")))
    made = columns(60, "", yes, no), columns(8, "v", yes, no)
    other = load(task(tmp_path / "other", *made, kind, label=NAMES))
    assert (other.kind, other.digest) == (one.kind, one.digest)


def test_numbers_in_lists_are_classes(tmp_path):
    sets = [[2], [], [0, 2], [1, 0]]
    got = load(task(tmp_path, lists(60, "", sets), lists(8, "v", sets)))
    assert got.label_names == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert got.heldout.labels[:4].tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize(
    ("written", "pattern"),
    [
        ({"metric": "f1"}, r"f1 does not suit .*several labels.* f1_micro or f1_macro or accuracy"),
        ({"metric": "pearson", "label": NAMES}, r"pearson does not suit a task with several"),
    ],
)
def test_a_metric_of_another_kind_of_task_is_refused(tmp_path, written, pattern):
    made = columns(60) | lists(60), columns(8, "v") | lists(8, "v")
    with pytest.raises(DataError, match=pattern):
        load(task(tmp_path, *made, **written))


def test_a_metric_of_several_labels_says_how_they_are_written(tmp_path):
    with pytest.raises(DataError, match=r"f1_macro does not suit a task with one class .* lists"):
        load(task(tmp_path, metric="f1_macro"))
    with pytest.raises(DataError, match=r"accuracy does not suit a task of numbers"):
        load(task(tmp_path, rows(label=float), rows(8, "v", float), metric=["pearson", "accuracy"]))
    with pytest.raises(DataError, match=r"pearson does not suit a task with one class"):
        load(TaskSpec(builtin="reviews", metric="pearson"))


def test_further_metrics_stand_behind_the_objectives(tmp_path):
    got = load(task(tmp_path, metric=["mcc", "accuracy"]))
    assert (got.metric, got.further_metrics) == ("mcc", ("accuracy",))


MISTAKES = {
    "a gap": ([["a"], None, ["b"]], r"nothing \(null\) in row 1 .* no list, as others are"),
    "one label": ([["a"], []], r"hold 1 different labels"),
    "flags": ([[0, 1, 0], [1, 0, 0]], r"row 0 .* has a label twice.*column for each"),
    "all alike": ([["a", "b"]], r"all 60 rows have the same labels \(a, b\)"),
    "unlabelled": ([[-1], [0], [1]], r"20 of 60 labels .* are -1"),
    "names and numbers in lists": ([["a"], [1]], r"mixes numbers and text"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_lists_of_labels_is_named(tmp_path, mistake):
    sets, message = MISTAKES[mistake]
    with pytest.raises(DataError, match=message):
        load(task(tmp_path, lists(60, "", sets), lists(8, "v"), ".jsonl"))


def test_a_label_that_train_does_not_have_is_named_with_its_row(tmp_path):
    held = lists(8, "v", [["toxic", "insult"], [], ["threat", "obscene"]])
    with pytest.raises(DataError, match=r"'obscene' .*row 2 .*classes are insult, threat, toxic"):
        load(task(tmp_path, lists(60), held))


def test_a_list_where_train_has_single_classes_is_named(tmp_path):
    held = rows(5, "v", label=lambda row: ["a"] if row == 3 else "a")
    train = rows(label=lambda row: "ab"[row % 2])
    with pytest.raises(DataError, match=r"\['a'\] \(list\) in row 3 .* train holds one label"):
        load(task(tmp_path, train, held, ".jsonl"))


@pytest.mark.parametrize("wrong", [2, -1, 0.5, None])
def test_a_cell_that_is_neither_0_nor_1_is_named(tmp_path, wrong):
    train = columns(60)
    train["threat"] = pa.array([*train["threat"][:7], wrong, *train["threat"][8:]], pa.float64())
    with pytest.raises(DataError, match=r"in row 7 .*'threat' is neither 0 nor 1"):
        load(task(tmp_path, train, columns(8, "v"), label=NAMES))


def test_a_heldout_file_where_every_row_has_the_same_labels_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"validation.*all 8 rows have the same labels \(none\)"):
        load(task(tmp_path, lists(60), lists(8, "v", [[]]), ".jsonl"))


def test_further_heldout_files_are_read_and_part_of_the_digest(tmp_path):
    spec = task(tmp_path)
    plain = load(spec)
    (tmp_path / "more").mkdir()
    other = task(tmp_path / "more", validation=rows(7, "m"))
    files = spec.files.model_dump() | {"more": {"mismatched": other.files.validation}}
    got = load(TaskSpec(files=files, text="sentence"))
    assert list(got.splits()) == ["train", "search", "heldout", "heldout_mismatched"]
    assert got.more["heldout_mismatched"].texts[0] == rows(7, "m")["sentence"]
    assert got.digest != plain.digest
    files["more"]["mismatched"] += "x"
    with pytest.raises(DataError, match=r"task.files.more.mismatched: .*dev.parquetx ends in"):
        load(TaskSpec(files=files, text="sentence"))


def test_the_kind_follows_from_the_labels():
    def made(labels, names):
        split = Rows((["a"] * len(labels),), np.array(labels))
        return Task("t", split, split, split, names, "any", "digest").kind

    assert made([0, 1], ("a", "b")) == "single_label"
    assert made([[0.0, 1.0], [1.0, 1.0]], ("a", "b")) == "multi_label"
    assert made([0.5, 1.5], ()) == "regression"


STUDY = {
    "name": "s",
    "teacher": {"builtin": "small"},
    "space": {
        "student": {"layers": 1, "hidden_size": 8, "heads": 1},
        "method": {"finetune": {}},
        "train": {"learning_rate": 1e-3},
    },
    "objectives": {"accuracy": {"goal": "max", "reference": 0.0}},
}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"metric": "acuracy"}, r"task: unknown metric 'acuracy'; .*\(did you mean accuracy\?\)"),
        ({"metric": []}, r"task: a list names one or more different metrics"),
        ({"metric": ["f1", "f1"]}, r"task: a list names one or more different metrics"),
        ({"label": ["a"]}, r"task: a list names two or more different columns of 0 and 1"),
        ({"label": ["a", "a"]}, r"task: a list names two or more"),
    ],
)
def test_mistakes_of_the_study_are_named(section, message):
    with pytest.raises(SpecError, match=message.replace("task:", rf"task\.{next(iter(section))}:")):
        resolve(STUDY | {"task": {"builtin": "reviews", **section}})


def test_the_share_of_rows_whose_labels_are_all_right_has_an_interval():
    data = tiny.rows(40)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (40, 2)).astype(np.float32)
    data, model = replace(data, labels=labels), tiny.bert()
    right = int(((predict(model, data) > 0) == labels.astype(bool)).all(axis=1).sum())
    found = accuracy(model, data, "accuracy")
    oracle = binomtest(right, 40).proportion_ci(method="wilson")
    assert found.score == pytest.approx(right / 40)
    assert (found.interval.low, found.interval.high) == pytest.approx((oracle.low, oracle.high))
    assert accuracy(model, data, "f1_micro").interval is None


@pytest.mark.parametrize("objective", ["robust_worst", "clean_on_attacked"])
def test_attacks_on_several_labels_or_numbers_are_refused_before_anything_is_trained(
    tmp_path, objective
):
    from tune_distill.prepare import load_task

    numbers = rows(60, "", float), rows(8, "v", float)
    objectives = STUDY["objectives"] | {objective: {"goal": "max", "reference": 0.0}}
    for name, made, more in (
        ("a number a row", numbers, {"metric": "pearson"}),
        ("several labels a row", (columns(60), columns(8, "v")), {"label": NAMES}),
    ):
        written = task(tmp_path, *made, **more).model_dump(exclude_none=True)
        study = resolve(STUDY | {"task": written, "objectives": objectives})
        with pytest.raises(SpecError, match=rf"objectives\.{objective}: an attack .* has {name}"):
            load_task(study, lambda line: None)
        load_task(resolve(STUDY | {"task": written}), lambda line: None)
