"""Data sets of the hub, by a stand-in for the download; and what is said without a connection."""

from __future__ import annotations

import datasets
import pytest

from tune_distill.errors import DataError
from tune_distill.spec import TaskSpec
from tune_distill.tasks import load
from tune_distill.tasks.glue import GLUE


def made(count, salt, columns, label):
    return {
        **{
            column: [" ".join(f"{salt}{column}{row}w{n}" for n in range(5)) for row in range(count)]
            for column in columns
        },
        "label": [label(row) for row in range(count)],
    }


@pytest.fixture
def hub(monkeypatch):
    """Replaces the download: `hub.splits` is what it gives, `hub.asked` what was asked for."""

    class Hub:
        splits: dict[str, datasets.Dataset]
        asked: tuple[str, str | None]

    stand_in = Hub()

    def load_dataset(path, name=None):
        stand_in.asked = (path, name)
        return datasets.DatasetDict(stand_in.splits)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return stand_in


# GLUE's paper, table 1; the names are those of the hub's data set, by class number.
ENTAILMENT = ("entailment", "not_entailment")
OFFICIAL = {
    "cola": (("mcc",), ("unacceptable", "acceptable")),
    "sst2": (("accuracy",), ("negative", "positive")),
    "mrpc": (("f1", "accuracy"), ("not_equivalent", "equivalent")),
    "qqp": (("f1", "accuracy"), ("not_duplicate", "duplicate")),
    "stsb": (("pearson", "spearman"), ()),
    "mnli": (("accuracy",), ("entailment", "neutral", "contradiction")),
    "qnli": (("accuracy",), ENTAILMENT),
    "rte": (("accuracy",), ENTAILMENT),
}


def test_no_task_of_glue_is_missing():
    assert set(GLUE) == set(OFFICIAL)


@pytest.mark.parametrize("name", GLUE)
@pytest.mark.parametrize("family", ["glue", "nyu-mll/glue"])
def test_every_task_of_glue_is_known_by_name(hub, name, family):
    known = GLUE[name]
    classes = len(known.label_names)
    label = (lambda row: row % classes) if classes else (lambda row: row % 21 / 4)
    unlabelled = made(5, "t", known.text, lambda row: -1)
    hub.splits = {
        "train": datasets.Dataset.from_dict(made(60, "a", known.text, label)),
        known.validation: datasets.Dataset.from_dict(made(9, "v", known.text, label)),
        "test": datasets.Dataset.from_dict(unlabelled),
        "validation_mismatched": datasets.Dataset.from_dict(made(8, "m", known.text, label)),
    }
    task = load(TaskSpec(dataset=f"{family}/{name}"))
    assert hub.asked == ("nyu-mll/glue", name)
    assert ((task.metric, *task.further_metrics), task.label_names) == OFFICIAL[name]
    assert len(task.heldout) == 9
    assert {split: len(rows) for split, rows in task.more.items()} == (
        {"heldout_mismatched": 8} if name == "mnli" else {}
    )
    assert task.kind == ("regression" if name == "stsb" else "single_label")
    assert len(task.train.texts) == len(known.text)


def test_wnli_is_refused_with_the_reason_and_a_misspelt_task_with_the_right_one():
    with pytest.raises(DataError, match=r"glue/wnli: .* opposite label, .* there are cola, sst2"):
        load(TaskSpec(dataset="glue/wnli"))
    with pytest.raises(DataError, match=r"glue/sst-2: no such task .*\(did you mean sst2\?\)"):
        load(TaskSpec(dataset="glue/sst-2"))


def test_a_metric_of_ones_own_goes_before_those_of_glue(hub):
    columns, label = ("sentence1", "sentence2"), (lambda row: row % 2)
    hub.splits = {
        split: datasets.Dataset.from_dict(made(60, split, columns, label))
        for split in ("train", "validation")
    }
    task = load(TaskSpec(dataset="glue/mrpc", metric="accuracy"))
    assert (task.metric, task.further_metrics) == ("accuracy", ("f1",))
    task = load(TaskSpec(dataset="glue/rte", metric=["mcc", "f1"]))
    assert (task.metric, task.further_metrics) == ("mcc", ("f1", "accuracy"))


def test_mnli_without_its_second_validation_set_is_refused(hub):
    columns = ("premise", "hypothesis")
    hub.splits = {
        split: datasets.Dataset.from_dict(made(60, split, columns, lambda row: row % 3))
        for split in ("train", "validation_matched")
    }
    with pytest.raises(DataError, match=r"needed are train, validation_mismatched and one of"):
        load(TaskSpec(dataset="glue/mnli"))


def test_lists_of_classes_keep_the_names_that_the_hub_has(hub):
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.List(datasets.ClassLabel(names=["joy", "anger", "fear"])),
        }
    )
    hub.splits = {
        split: datasets.Dataset.from_dict(
            made(40, split, ["text"], lambda row: [row % 2] if row % 3 else [0, 1]),
            features=features,
        )
        for split in ("train", "test")
    }
    task = load(TaskSpec(dataset="owner/emotions"))
    assert (task.kind, task.label_names) == ("multi_label", ("joy", "anger", "fear"))
    assert task.heldout.labels[:3].tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("dataset", "asked"),
    [
        ("imdb", ("imdb", None)),
        ("stanfordnlp/imdb", ("stanfordnlp/imdb", None)),
        ("owner/name/part", ("owner/name", "part")),
    ],
)
def test_other_data_sets_keep_their_class_names_and_fall_back_to_the_test_split(
    hub, dataset, asked
):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    hub.splits = {
        split: datasets.Dataset.from_dict(
            made(40, split, ["text"], lambda row: row % 2), features=features
        )
        for split in ("train", "test")
    }
    task = load(TaskSpec(dataset=dataset))
    assert hub.asked == asked
    assert task.label_names == ("neg", "pos")
    assert len(task.heldout) == 40


def test_a_data_set_without_a_known_text_column_lists_its_columns(hub):
    hub.splits = {
        split: datasets.Dataset.from_dict(made(40, split, ["review"], lambda row: row % 2))
        for split in ("train", "validation")
    }
    with pytest.raises(DataError, match=r"task.text: name the text column .* review, label"):
        load(TaskSpec(dataset="owner/name"))
    assert len(load(TaskSpec(dataset="owner/name", text="review")).heldout) == 40


def test_a_data_set_without_the_splits_needed_lists_those_it_has(hub):
    hub.splits = {"train": datasets.Dataset.from_dict(made(4, "a", ["text"], lambda row: row % 2))}
    with pytest.raises(DataError, match=r"has the splits train; needed are train and one of"):
        load(TaskSpec(dataset="owner/name"))


@pytest.mark.parametrize("dataset", ["a/b/c/d", "a//b", "/absolute", "."])
def test_a_name_that_is_none_of_the_hub_points_to_files(dataset):
    with pytest.raises(DataError, match=r"no data set of the hub; .*task.files"):
        load(TaskSpec(dataset=dataset))


@pytest.mark.parametrize("dataset", ["glue/sst2", "owner/some-name", "owner/bad name"])
def test_without_a_connection_files_are_named_as_the_way(monkeypatch, tmp_path, dataset):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(DataError, match=r"could not be loaded .*files: \{train"):
        load(TaskSpec(dataset=dataset))
