"""Texts without labels: added behind the labelled rows, and kept from what is measured on."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.test_tasks_encoded import tokenizer
from tests.unit.test_tasks_kinds import NAMES, columns
from tests.unit.test_tasks_source import rows, sentence, task, write
from tune_distill.errors import DataError
from tune_distill.spec import TaskSpec
from tune_distill.tasks import Rows, encode, load, prepare


def texts(count, salt="u"):
    return [sentence(row, salt) for row in range(count)]


def unlabelled(folder, made, kind=".parquet"):
    path = folder / f"more{kind}"
    if kind == ".txt":
        path.write_text("\n".join(made) + "\n", encoding="utf-8")
    else:
        write(path, {"sentence": made, "ignored": ["x"] * len(made)})
    return str(path)


@pytest.mark.parametrize("kind", [".parquet", ".csv", ".tsv", ".jsonl", ".txt"])
def test_texts_of_every_format_stand_behind_the_labelled_rows(tmp_path, kind):
    plain = load(task(tmp_path))
    got = load(task(tmp_path, unlabelled=unlabelled(tmp_path, texts(30), kind)))
    assert got.train.texts[0] == plain.train.texts[0] + texts(30)
    assert got.train.labels[:54].tolist() == plain.train.labels.tolist()
    assert got.train.labels[54:].tolist() == [-100] * 30
    assert got.search.texts == plain.search.texts
    assert got.notes[-1] == (
        "task.unlabelled: 30 texts: 30 added to the training rows, 0 dropped (0 related to a search"
        " or held-out row, 0 repeats of a training row or one another)"
    )


def test_what_a_row_that_is_measured_on_shares_is_dropped_and_so_are_repeats(tmp_path):
    plain = load(task(tmp_path))
    seen = plain.search.texts[0][0], plain.heldout.texts[0][3]
    made = [
        seen[0].upper() + " .",  # is a search row
        f"well , {seen[1]} , they said",  # holds a held-out row
        " ".join(seen[1].split()[1:3]),  # stands within one
        *texts(3),
        texts(3)[1].upper(),  # repeats one of the file
        f"{plain.train.texts[0][5]} !",  # repeats a training row
    ]
    got = load(task(tmp_path, unlabelled=unlabelled(tmp_path, made)))
    assert got.train.texts[0] == plain.train.texts[0] + texts(3)
    assert (
        "8 texts: 3 added to the training rows, 5 dropped (3 related to a search or held-out row, "
        "2 repeats"
    ) in got.notes[-1]


def test_rows_related_to_a_further_heldout_file_are_dropped_too(tmp_path):
    spec = task(tmp_path)
    write(tmp_path / "more.csv", rows(5, "m"))
    files = spec.files.model_dump() | {"more": {"other": str(tmp_path / "more.csv")}}
    made = [sentence(2, "m"), *texts(2)]
    spec = TaskSpec(files=files, text="sentence", unlabelled=unlabelled(tmp_path, made))
    assert load(spec).train.texts[0][-2:] == texts(2)


def test_pairs_are_compared_in_both_columns(tmp_path):
    def second(row, salt):  # of five words: shorter ones say nothing of where a pair is from
        return f"{sentence(row, salt)} {salt}{row}"

    def pairs(count, salt):
        return {**rows(count, salt), "other": [second(row, f"{salt}o") for row in range(count)]}

    made = {
        "sentence": ["a new first text", sentence(3, "t"), sentence(4, "t"), sentence(5, "t")],
        # A held-out second text within; a pair of train; others that share a first text with it.
        "other": [f"ah {second(1, 'vo')} oh", second(3, "to"), "another second text", "yes"],
    }
    spec = task(tmp_path, pairs(60, "t"), pairs(8, "v"), text=("sentence", "other"))
    first = load(spec).train.texts[0]
    assert {sentence(row, "t") for row in (3, 4, 5)} <= set(first)  # none is a search row
    write(tmp_path / "more.jsonl", made)
    got = load(spec.model_copy(update={"unlabelled": str(tmp_path / "more.jsonl")}))
    assert [column[len(first) :] for column in got.train.texts] == [
        [sentence(4, "t"), sentence(5, "t")],
        ["another second text", "yes"],
    ]


def test_missing_labels_of_other_kinds_are_not_numbers(tmp_path):
    more = unlabelled(tmp_path, texts(2))
    several = load(task(tmp_path, columns(60), columns(8, "v"), label=NAMES, unlabelled=more))
    assert several.train.labels.shape[1] == 3
    assert np.isnan(several.train.labels[-2:]).all()
    assert not np.isnan(several.train.labels[:-2]).any()
    numbers = rows(60, "", float), rows(8, "v", float)
    got = load(task(tmp_path, *numbers, metric="pearson", unlabelled=more))
    assert np.isnan(got.train.labels).tolist() == [False] * 54 + [True] * 2


def test_the_cap_is_of_labelled_rows_and_the_digest_sees_the_others(tmp_path):
    made = [unlabelled(tmp_path, texts(30)), unlabelled(tmp_path, texts(31), ".csv")]
    plain = load(task(tmp_path, max_train_rows=20))
    one, other = (load(task(tmp_path, max_train_rows=20, unlabelled=path)) for path in made)
    assert (len(one.train), len(one.train.labelled())) == (50, 20)
    assert len({plain.digest, one.digest, other.digest}) == 3
    # What a teacher is fine-tuned on is the task as it was.
    assert one.labelled().digest == other.labelled().digest == plain.digest
    assert one.labelled().train.texts == plain.train.texts
    assert plain.labelled() is plain


def test_the_builtin_corpus_takes_more_texts():
    plain = load(TaskSpec(builtin="reviews", max_train_rows=50))
    assert plain.train.labelled().labels.tolist() == plain.train.labels.tolist()


def test_texts_for_the_builtin_corpus_are_lines(tmp_path):
    spec = TaskSpec(
        builtin="reviews", max_train_rows=50, unlabelled=unlabelled(tmp_path, texts(4), ".txt")
    )
    assert load(spec).train.texts[0][50:] == texts(4)


MISTAKES = {
    "none left": ([], r"nothing is left to add"),
    "no such column": ({"text": ["a"]}, r"no column 'sentence' in task.unlabelled .* has text"),
    "empty": ({"sentence": [" ", "\t"]}, r"task.unlabelled .*no texts in it"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_texts_is_named(tmp_path, mistake):
    made, message = MISTAKES[mistake]
    held = {"sentence": rows(10, "v")["sentence"][:2]}
    write(tmp_path / "more.jsonl", made or held)
    with pytest.raises(DataError, match=message):
        load(task(tmp_path, unlabelled=str(tmp_path / "more.jsonl")))


def test_lines_are_no_pairs_and_no_labelled_rows(tmp_path):
    path = unlabelled(tmp_path, texts(2), ".txt")
    made = rows() | {"other": texts(60)}, rows(8, "v") | {"other": texts(8, "vo")}
    with pytest.raises(DataError, match=r"more.txt has one text a line, .* sentence, other"):
        load(task(tmp_path, *made, text=("sentence", "other"), unlabelled=path))
    with pytest.raises(DataError, match=r"task.files.train: .*ends in '.txt'"):
        load(TaskSpec(files={"train": path, "validation": path}, text="sentence"))
    with pytest.raises(DataError, match=r"task.unlabelled: .*more.docx.* \.json, \.txt"):
        load(task(tmp_path, unlabelled=str(tmp_path / "more.docx")))


def test_the_labelled_rows_of_a_split_keep_their_row_numbers():
    labels = np.array([1, 0, 1, -100, -100])
    whole = encode(Rows((["a b", "c", "d e f", "g", "h i"],), labels), tokenizer(), 64)
    view = whole.labelled()
    assert (len(view), view.labels.tolist()) == (3, [1, 0, 1])
    for some in (np.array([2, 0]), np.array([1])):
        one, other = view.batch(some), whole.batch(some)
        assert one.rows.tolist() == other.rows.tolist() == some.tolist()
        assert one.input_ids.tolist() == other.input_ids.tolist()
        assert one.token_type_ids.tolist() == other.token_type_ids.tolist()
    assert len(view.labelled()) == 3


@pytest.mark.parametrize("nothing", [-100, np.nan])
def test_rows_without_labels_in_front_of_others_are_an_error(nothing):
    labels = np.array([1, nothing, 0], np.int64 if nothing == -100 else np.float32)
    with pytest.raises(ValueError, match="have to come after"):
        encode(Rows((["a", "b", "c"],), labels), tokenizer(), 64).labelled()


def test_a_prepared_task_keeps_what_is_labelled_and_every_heldout_split(tmp_path):
    spec = task(tmp_path, unlabelled=unlabelled(tmp_path, texts(30)), max_length=16)
    write(tmp_path / "more.csv", rows(5, "m"))
    files = spec.files.model_dump() | {"more": {"other": str(tmp_path / "more.csv")}}
    spec = TaskSpec.model_validate(spec.model_dump() | {"files": files, "metric": ["f1", "mcc"]})
    made = prepare(spec, tokenizer(), tmp_path / "cache")
    assert (len(made.train), len(made.train.labelled())) == (84, 54)
    assert list(made.splits()) == ["train", "search", "heldout", "heldout_other"]
    assert made.rows("heldout_other").texts[0] == rows(5, "m")["sentence"]
    assert (made.kind, made.metrics) == ("single_label", ("f1", "mcc"))
    fewer = prepare(spec.model_copy(update={"metric": "f1"}), tokenizer(), tmp_path / "cache")
    assert fewer.folder != made.folder
