"""Reading tasks: every format, labels and their names, and each mistake named."""

from __future__ import annotations

import json
import warnings

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tune_distill.errors import DataError
from tune_distill.spec import TaskSpec
from tune_distill.tasks import DataWarning, load

TRICKY = ["NA", "null", "", "007", "1e5", "True", "a, b", '"quoted" start', "2020-01-01", "é ü"]


def sentence(row, salt=""):
    """A sentence that shares no word with another row's."""
    return " ".join(f"{salt}w{row}n{place}" for place in range(4))


def rows(count=60, salt="", label=lambda row: row % 2):
    return {
        "sentence": [sentence(row, salt) for row in range(count)],
        "label": [label(row) for row in range(count)],
    }


def write(path, columns):
    kind = path.suffix
    if kind == ".parquet":
        pq.write_table(pa.table(columns), path)
        return
    lines = list(zip(*columns.values(), strict=True))
    if kind in (".jsonl", ".ndjson", ".json"):
        text = "".join(
            json.dumps(dict(zip(columns, line, strict=True)), ensure_ascii=False) + "\n"
            for line in lines
        )
    elif kind == ".tsv":
        text = "".join("\t".join(map(str, line)) + "\n" for line in [tuple(columns), *lines])
    else:
        text = "".join(
            ",".join('"' + str(cell).replace('"', '""') + '"' for cell in line) + "\r\n"
            for line in [tuple(columns), *lines]
        )
    path.write_bytes(text.encode())


def task(folder, train=None, validation=None, kind=".parquet", **more):
    """A TaskSpec over two files that are written here."""
    write(folder / f"train{kind}", train or rows())
    write(folder / f"dev{kind}", validation or rows(10, "v"))
    files = {"train": str(folder / f"train{kind}"), "validation": str(folder / f"dev{kind}")}
    return TaskSpec(**{"files": files, "text": "sentence", **more})


FORMATS = [".parquet", ".csv", ".tsv", ".jsonl", ".ndjson", ".json"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_task(tmp_path, kind):
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    one, other = load(task(tmp_path / "one")), load(task(tmp_path / "other", kind=kind))
    assert one.digest == other.digest
    assert other.label_names == ("LABEL_0", "LABEL_1")
    assert other.heldout.texts[0] == rows(10, "v")["sentence"]
    assert other.heldout.labels.tolist() == [0, 1] * 5
    assert len(one.search) == 6  # a tenth of 60
    assert len(one.train) == 54
    assert (one.name, one.metric) == ("one", "accuracy")


@pytest.mark.parametrize("kind", FORMATS)
def test_cells_that_look_like_something_else_stay_text(tmp_path, kind):
    held = {"sentence": TRICKY, "label": [0, 1] * (len(TRICKY) // 2)}
    assert load(task(tmp_path, validation=held, kind=kind)).heldout.texts[0] == TRICKY


def test_digits_of_a_text_file_are_the_numbers_of_another_format(tmp_path):
    spec = task(tmp_path)
    write(tmp_path / "dev.csv", rows(10, "v"))
    files = {"train": spec.files.train, "validation": str(tmp_path / "dev.csv")}
    assert load(TaskSpec(files=files, text="sentence")).digest == load(spec).digest


def test_csv_cells_may_hold_line_breaks_and_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    spec = task(tmp_path, kind=".csv")
    lines = '\ufeffsentence,label\n"one\ntwo",1\nthree,0\n'
    (tmp_path / "dev.csv").write_text(lines, encoding="utf-8", newline="")
    assert load(spec).heldout.texts[0] == ["one\ntwo", "three"]


def test_pairs_are_read_in_the_order_given(tmp_path):
    train, held = rows(), rows(10, "v")
    train["other"], held["other"] = [[sentence(row, "o") for row in range(n)] for n in (60, 10)]
    got = load(task(tmp_path, train, held, text=("other", "sentence")))
    assert got.heldout.texts == (held["other"], held["sentence"])
    assert len(got.train.texts) == 2


@pytest.mark.parametrize(
    ("labels", "names", "heldout"),
    [
        (["pos", "neg", "neutral"], ("neg", "neutral", "pos"), [2, 0, 1]),  # sorted
        ([3, 1, 10], ("1", "3", "10"), [1, 0, 2]),  # by value, not as text
        (["3", "1", "10"], ("1", "3", "10"), [1, 0, 2]),
        ([2.0, 1.0, 0.0], ("LABEL_0", "LABEL_1", "LABEL_2"), [2, 1, 0]),
        ([True, False, True], ("False", "True"), [1, 0, 1]),
    ],
)
def test_labels_become_numbers_and_names(tmp_path, labels, names, heldout):
    got = load(
        task(
            tmp_path,
            rows(60, label=lambda row: labels[row % 3]),
            rows(3, "v", label=lambda row: labels[row]),
        )
    )
    assert got.label_names == names
    assert got.heldout.labels.tolist() == heldout
    assert got.heldout.labels.dtype == np.int64


@pytest.mark.parametrize("written", ["numbers", "names"])
def test_class_names_that_datasets_wrote_into_parquet_are_kept(tmp_path, written):
    names = ["bad", "so-so", "good"]  # not in alphabetical order; the last one is not in train
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
    )
    for name, made in (("train", rows()), ("dev", rows(10, "v"))):
        datasets.Dataset.from_dict(made, features=features).to_parquet(tmp_path / f"{name}.parquet")
    files = {"train": str(tmp_path / "train.parquet"), "validation": str(tmp_path / "dev.parquet")}
    if written == "names":  # the names in the metadata, the labels themselves as text
        for name in ("train", "dev"):
            table = pq.read_table(tmp_path / f"{name}.parquet")
            column = pa.array([names[one] for one in table.column("label").to_pylist()])
            kept = table.schema.metadata
            table = table.set_column(1, "label", column).replace_schema_metadata(kept)
            pq.write_table(table, tmp_path / f"{name}.parquet")
    got = load(TaskSpec(files=files, text="sentence"))
    assert got.label_names == tuple(names)
    assert got.heldout.labels.tolist() == [0, 1] * 5


@pytest.mark.parametrize("kind", [".parquet", ".csv"])
def test_a_correlation_metric_makes_a_regression(tmp_path, kind):
    spec = task(
        tmp_path,
        rows(label=lambda row: row / 4),
        rows(10, "v", label=lambda row: row / 4),
        kind=kind,
        metric="pearson",
    )
    got = load(spec)
    assert got.label_names == ()
    assert got.heldout.labels.dtype == np.float32
    assert got.heldout.labels.tolist() == [row / 4 for row in range(10)]


MISTAKES = {
    "text column": ({"text": "sentense"}, r"task.text: no column 'sentense' .*mean sentence\?"),
    "label column": ({"label": "lable"}, r"task.label: no column 'lable' .* sentence, label "),
    "no text": (
        {"train": {"sentence": [1, 2], "label": [0, 1]}},
        r"train.*'sentence' holds 1 \(int\) in row 0 .* 2 such rows",
    ),
    "a gap in the text": (
        {"validation": {"sentence": ["a", None], "label": [0, 1]}},
        r"validation.*nothing \(null\) in row 1",
    ),
    "empty split": (
        {"validation": {"sentence": pa.array([], pa.string()), "label": pa.array([], pa.int64())}},
        r"validation.*no rows",
    ),
    "one class": ({"train": rows(label=lambda row: 1)}, r"all 60 rows are of the class '1'"),
    "one class held out": (
        {"validation": rows(5, "v", label=lambda row: 1)},
        r"validation.*all 5 rows are of the class 'LABEL_1'",
    ),
    "unlabelled": (
        {"validation": rows(5, "v", label=lambda row: -1)},
        r"validation.*5 of 5 labels .* -1.*labelled split",
    ),
    "gap in the labels": (
        {"train": rows(label=lambda row: None if row == 7 else row % 2)},
        r"nothing \(null\) in row 7 .* missing",
    ),
    "class unknown to train": (
        {"validation": rows(5, "v")},
        r"label 'new' \(str\) in row 3 .* out of range; the classes are a, b",
    ),
    "real numbers": (
        {"train": rows(label=lambda row: row / 8)},
        r"label 0.125 \(float\) in row 1 .*metric: pearson",
    ),
    "no classes": (
        {"train": rows(200, label=lambda row: row)},
        r"200 different labels in 200 rows",
    ),
    "mixed labels": (
        {"kind": ".jsonl", "train": rows(label=lambda row: "a" if row else 1)},
        r"mixes numbers and text",
    ),
    "no number": (
        {"metric": "pearson", "train": rows(label=lambda row: "x")},
        r"label 'x' \(str\) in row 0 .*no number",
    ),
    "constant number": (
        {"metric": "spearman", "train": rows(label=lambda row: 2.5)},
        r"every label in 'label' is 2.5",
    ),
    "too many search rows": ({"search_rows": 60}, r"task.search_rows: cannot keep 60 of 60"),
}
MISTAKES["class unknown to train"][0].update(
    train=rows(label=lambda row: "ab"[row % 2]),
    validation=rows(5, "v", label=lambda row: "new" if row == 3 else "a"),
)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_data_is_named(tmp_path, mistake):
    wrong, message = MISTAKES[mistake]
    with pytest.raises(DataError, match=message):
        load(task(tmp_path, **wrong))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("trian.csv", None, r"task.files.train: .*trian.csv does not exist \(did you mean"),
        ("train.xlsx", b"", r"ends in '.xlsx'.* \.parquet, \.csv, \.tsv"),
        ("folder.csv", "folder", r"folder.csv is a folder"),
        ("bad.parquet", b"PAR1 or not", r"not a readable parquet file"),
        ("bad.csv", b"sentence,label\none,1,2\n", r"line 2 has 3 cells, the header 2"),
        ("quote.csv", b'sentence,label\n"a" b,1\n', r"line 2 cannot be read"),
        ("open.csv", b'sentence,label\n"a,1\nb,0\n', r"line 3 cannot be read"),
        ("twice.csv", b"a,a\n1,2\n", r"two columns have the same name"),
        ("empty.tsv", b"", r"empty; its first line"),
        ("latin.csv", b"sentence,label\ncaf\xe9,1\n", r"not UTF-8"),
        ("bad.jsonl", b'{"sentence": "a", "label": 1}\n{"sent', r"line 2 cannot be read"),
        ("list.json", b'[{"sentence": "a"}]\n', r"line 1 is no JSON object"),
        ("half.jsonl", b'{"sentence": "\\ud800", "label": 1}\n', r"no valid Unicode"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    spec = task(tmp_path, kind=".csv")
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    files = {"train": str(path), "validation": spec.files.validation}
    with pytest.raises(DataError, match=message):
        load(TaskSpec(files=files, text="sentence"))


def test_a_relative_path_starts_at_the_current_folder(tmp_path, monkeypatch):
    task(tmp_path, kind=".csv")
    monkeypatch.chdir(tmp_path)
    files = {"train": "train.csv", "validation": "./dev.csv"}
    assert load(TaskSpec(files=files, text="sentence")).name == tmp_path.name


def test_a_validation_split_that_shares_texts_with_train_is_a_warning(tmp_path):
    held = rows(100, "v")
    held["sentence"][:50] = [text.upper() for text in rows(200)["sentence"][:50]]
    with pytest.warns(DataWarning) as caught:
        load(task(tmp_path, rows(200), held))
    message = next(str(one.message) for one in caught if "heldout rows" in str(one.message))
    assert "are also in train" in message


def test_a_validation_split_that_shares_one_text_in_a_hundred_is_none(tmp_path):
    held = rows(100, "v")
    held["sentence"][0] = rows()["sentence"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A single shared row is a hundredth of these, and of the 200 rows less.
        load(task(tmp_path, rows(200), held))


def test_a_split_that_costs_over_a_third_of_train_is_a_warning(tmp_path):
    # The second half of the rows are pieces of the first half's sentences: 30 drawn sentences of 60
    # take their 30 pieces with them, and more: the pieces of each are two.
    whole = rows(40)["sentence"]
    pieces = [" ".join(text.split()[:2]) for text in whole]
    pieces += [" ".join(text.split()[2:]) for text in whole]
    train = {"sentence": whole + pieces, "label": [row % 2 for row in range(120)]}
    with pytest.warns(DataWarning, match=r"50 of 120 training rows are dropped"):
        # 25 sentences take their 50 pieces with them: more than a third of 120 rows.
        got = load(task(tmp_path, train, search_rows=25))
    assert len(got.train) == 120 - 25 - 50


def test_the_cap_applies_after_the_split_and_is_noted(tmp_path):
    whole = load(task(tmp_path))
    capped = load(task(tmp_path, max_train_rows=20))
    assert capped.search.texts == whole.search.texts
    assert set(capped.train.texts[0]) < set(whole.train.texts[0])
    assert len(capped.train) == 20
    assert "20 of 54 training rows kept" in capped.notes[-1]


def test_the_digest_sees_every_text_label_and_name(tmp_path):
    base = load(task(tmp_path)).digest
    changes = []
    for change in ("text", "label", "name"):
        held = rows(10, "v")
        if change == "text":
            held["sentence"][0] += "!"
        elif change == "label":
            held["label"][:2] = [1, 0]
        names = (lambda row: "xy"[row % 2]) if change == "name" else (lambda row: row % 2)
        if change == "name":
            held["label"] = [names(row) for row in range(10)]
        changes.append(load(task(tmp_path, rows(label=names), held)).digest)
    assert len({base, *changes}) == 4
    assert base == load(task(tmp_path)).digest


def test_the_builtin_corpus_is_a_task_with_its_own_three_splits():
    got = load(TaskSpec(builtin="reviews", max_train_rows=100, search_rows=50))
    assert (len(got.train), len(got.search), len(got.heldout)) == (100, 50, 1_500)
    assert got.label_names == ("negative", "positive")
    assert got.metric == "accuracy"


@pytest.mark.real
def test_the_rest_of_rte_serves_as_texts_without_labels(shared):
    folder = shared / "data" / "glue" / "rte"
    files = {name: str(folder / f"{name}.parquet") for name in ("train", "validation")}
    spec = TaskSpec(files=files, text=("sentence1", "sentence2"), max_train_rows=300)
    whole, got = load(spec), load(spec.model_copy(update={"unlabelled": files["train"]}))
    assert got.train.labelled().texts == whole.train.texts
    added = list(zip(*(column[300:] for column in got.train.texts), strict=True))
    assert len(set(added)) == len(added) > 1_600
    assert set(added).isdisjoint(zip(*whole.train.texts, strict=True))
    measured = {text for split in (got.search, got.heldout) for text in split.texts[0]}
    assert measured.isdisjoint(premise for premise, _ in added)


@pytest.mark.real
def test_sst2_is_read_from_files_and_capped(shared):
    folder = shared / "data" / "glue" / "sst2"
    files = {name: str(folder / f"{name}.parquet") for name in ("train", "validation")}
    got = load(
        TaskSpec(files=files, text="sentence", max_train_rows=500, metric=["accuracy", "f1"])
    )
    assert np.bincount(got.heldout.labels).tolist() == [428, 444]
    # 37,569 of the 67,349 training rows are positive: 55.8 %.
    assert 270 <= int(got.train.labels.sum()) <= 290
    assert (got.metric, got.further_metrics, len(got.train)) == ("accuracy", ("f1",), 500)


@pytest.mark.real
def test_rte_is_read_from_files(shared):
    folder = shared / "data" / "glue" / "rte"
    files = {name: str(folder / f"{name}.parquet") for name in ("train", "validation")}
    got = load(TaskSpec(files=files, text=("sentence1", "sentence2")))
    assert len(got.heldout) == 277
    assert np.bincount(got.heldout.labels).tolist() == [146, 131]
    assert got.name == "rte"
    assert len(got.train) + len(got.search) > 2_400
