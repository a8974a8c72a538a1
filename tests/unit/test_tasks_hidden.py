"""Few labels: which rows keep theirs, and where the others go."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.test_tasks_kinds import NAMES, columns
from tests.unit.test_tasks_source import rows, task
from tests.unit.test_tasks_unlabelled import texts, unlabelled
from tune_distill.errors import DataError
from tune_distill.spec import TaskSpec
from tune_distill.tasks import load


def labels(got):
    """text -> label."""
    return dict(zip(got.train.texts[0], got.train.labels.tolist(), strict=True))


@pytest.mark.parametrize("asked", [{"labelled_rows": 12}, {"label_share": 12 / 54}])
def test_a_stratified_part_keeps_its_labels_and_the_others_stand_behind_it(tmp_path, asked):
    whole, got = load(task(tmp_path)), load(task(tmp_path, **asked))
    own, known = labels(got), labels(whole)
    kept = got.train.texts[0][:12]
    assert got.train.labels[12:].tolist() == [-100] * 42
    assert {text: own[text] for text in kept} == {text: known[text] for text in kept}
    shares = np.bincount(whole.train.labels) / 54
    assert np.bincount(got.train.labels[:12]).tolist() == pytest.approx(12 * shares, abs=1)
    assert sorted(got.train.texts[0]) == sorted(whole.train.texts[0])
    assert (got.search.texts, got.heldout.texts) == (whole.search.texts, whole.heldout.texts)
    assert got.search.labels.tolist() == whole.search.labels.tolist()
    assert got.notes[-1] == (
        f"task.{next(iter(asked))}: 12 of 54 training rows keep their label, by content hash, each"
        " class its share; the others are texts without labels"
    )


def test_which_rows_keep_their_label_depends_on_their_content_alone(tmp_path):
    (tmp_path / "other").mkdir()
    made = rows()
    turned = {name: column[::-1] for name, column in made.items()}
    one = load(task(tmp_path, made, labelled_rows=12))
    other = load(task(tmp_path / "other", turned, labelled_rows=12))
    assert labels(one) == labels(other)
    more = labels(load(task(tmp_path, made, labelled_rows=20)))
    assert all(more[text] == label for text, label in labels(one).items() if label != -100)
    seeded = labels(load(task(tmp_path, made, labelled_rows=12, seed=1)))
    assert {t for t, y in seeded.items() if y != -100} != {
        t for t, y in labels(one).items() if y != -100
    }


@pytest.mark.parametrize(
    "asked", [{"label_share": 1.0}, {"labelled_rows": 54}, {"labelled_rows": 99}]
)
def test_where_all_keep_their_labels_the_task_is_the_same(tmp_path, asked):
    whole, got = load(task(tmp_path)), load(task(tmp_path, **asked))
    assert got.digest == whole.digest
    assert got.notes == whole.notes


def test_hidden_labels_are_no_part_of_what_a_teacher_is_fine_tuned_on(tmp_path):
    few = load(task(tmp_path, labelled_rows=12)).labelled()
    assert (len(few.train), few.train.labels.min()) == (12, 0)
    assert few.digest != load(task(tmp_path)).digest


def test_a_cap_comes_first_and_a_file_of_texts_last(tmp_path):
    more = unlabelled(tmp_path, texts(5))
    got = load(task(tmp_path, max_train_rows=20, labelled_rows=8, unlabelled=more))
    assert (len(got.train), len(got.train.labelled())) == (25, 8)
    assert got.train.texts[0][20:] == texts(5)
    assert (got.train.labels[8:] == -100).all()


def test_labels_of_other_kinds_can_be_hidden_too(tmp_path):
    several = load(task(tmp_path, columns(60), columns(8, "v"), label=NAMES, label_share=0.5))
    assert np.isnan(several.train.labels).all(axis=1).tolist() == [False] * 27 + [True] * 27
    numbers = rows(60, "", float), rows(8, "v", float)
    got = load(task(tmp_path, *numbers, metric="pearson", labelled_rows=9))
    assert np.isnan(got.train.labels).tolist() == [False] * 9 + [True] * 45


def test_labels_of_one_class_alone_are_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"task\.labelled_rows, the rows that keep their label: all 1 rows are of"
    ):
        load(task(tmp_path, labelled_rows=1))


def test_two_numbers_of_labels_are_refused():
    with pytest.raises(ValueError, match="give label_share or labelled_rows, not both"):
        TaskSpec(builtin="reviews", label_share=0.1, labelled_rows=3)
    with pytest.raises(ValueError, match="greater than 0"):
        TaskSpec(builtin="reviews", label_share=0.0)
