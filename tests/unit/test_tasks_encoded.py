"""Tokenised splits: encoding, padding, batches, and the folder that trials open."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tune_distill.errors import DataError
from tune_distill.spec import TaskSpec
from tune_distill.tasks import (
    DataWarning,
    Encoded,
    Rows,
    batches,
    encode,
    open_prepared,
    ordered_batches,
    prepare,
    prepared,
    tokenizer_digest,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def tokenizer(words=26, inputs=("input_ids", "token_type_ids", "attention_mask"), pad="[PAD]"):
    """A word-level tokenizer: a = 4, b = 5, ...; [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3."""
    vocabulary = [*SPECIAL, *(chr(97 + n) if n < 26 else f"w{n}" for n in range(words))]
    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(vocabulary)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token=pad,
        model_input_names=list(inputs),
        model_max_length=64,
    )


def rows(*columns, labels=None):
    return Rows(tuple(map(list, columns)), np.arange(len(columns[0])) if labels is None else labels)


def test_a_sentence_is_encoded_and_padded_to_the_longest_row_of_its_batch():
    encoded = encode(rows(["a b c", "d", "a zz"]), tokenizer(), 64)
    assert encoded.tokens.tolist() == [2, 4, 5, 6, 3, 2, 7, 3, 2, 4, 1, 3]
    assert encoded.offsets.tolist() == [0, 5, 8, 12]
    batch = encoded.batch(np.array([2, 1]))
    assert batch.input_ids.tolist() == [[2, 4, 1, 3], [2, 7, 3, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.token_type_ids.tolist() == [[0] * 4] * 2
    assert batch.labels.tolist() == [2, 1]
    assert batch.rows.tolist() == [2, 1]
    assert set(batch.inputs()) == {"input_ids", "attention_mask", "token_type_ids"}
    assert batch.to("meta").labels.device.type == "meta"


def test_pairs_carry_segments_and_the_longest_text_is_cut_first():
    encoded = encode(rows(["a b c d e f", "a"], ["g h", "b c d e f g"]), tokenizer(), 8)
    batch = encoded.batch(np.array([0, 1]))
    # 8 places, 3 special: "a b c" and "g h"; "a" and "b c d e"
    assert batch.input_ids.tolist() == [[2, 4, 5, 6, 3, 10, 11, 3], [2, 4, 3, 5, 6, 7, 8, 3]]
    assert batch.token_type_ids.tolist() == [[0] * 5 + [1] * 3, [0] * 3 + [1] * 5]


def test_padding_is_the_tokenizers_own():
    # "z" is 29; a tokenizer that pads with it, as RoBERTa pads with 1 and not with 0
    encoded = encode(rows(["a b", "c"]), tokenizer(pad="z"), 64)
    assert encoded.batch(np.array([0, 1])).input_ids[1].tolist() == [2, 6, 3, 29]


def test_a_tokenizer_without_segments_gives_none():
    plain = tokenizer(inputs=("input_ids", "attention_mask"))
    encoded = encode(rows(["a"], ["b"]), plain, 64)
    assert encoded.types is None
    assert encoded.batch(np.array([0])).token_type_ids is None
    assert set(encoded.batch(np.array([0])).inputs()) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [(252, np.uint8), (253, np.uint16), (65_532, np.uint16), (65_533, np.uint32)],
)
def test_tokens_are_stored_in_the_smallest_type_that_holds_the_vocabulary(words, kind):
    # With the 4 special tokens the largest number is words + 3.
    assert encode(rows(["a"]), tokenizer(words), 64).tokens.dtype == kind


def test_rows_beyond_one_call_of_the_tokenizer_are_encoded_alike(monkeypatch):
    texts = [" ".join("abcdefgh"[: 1 + row % 8]) for row in range(23)]
    whole = encode(rows(texts), tokenizer(), 64)
    monkeypatch.setattr("tune_distill.tasks.encoded._AT_ONCE", 5)
    parts = encode(rows(texts), tokenizer(), 64)
    assert parts.tokens.tolist() == whole.tokens.tolist()
    assert parts.offsets.tolist() == whole.offsets.tolist()


def test_regression_labels_stay_float32():
    labels = np.array([0.5, 1.25], np.float32)
    batch = encode(rows(["a", "b"], labels=labels), tokenizer(), 64).batch(np.array([1, 0]))
    assert batch.labels.dtype == torch.float32
    assert batch.labels.tolist() == [1.25, 0.5]


def test_what_a_tokenizer_cannot_do_is_named():
    with pytest.raises(DataError, match=r"task.max_length: 65, .* end at 64"):
        encode(rows(["a"]), tokenizer(), 65)
    without = tokenizer()
    without.pad_token = None
    with pytest.raises(DataError, match="no padding token"):
        encode(rows(["a"]), without, 64)
    bare = tokenizer()
    bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    with pytest.raises(DataError, match=r"row 1 .* has no tokens"):
        encode(rows(["a", ""]), bare, 64)


def of_lengths(lengths):
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Encoded(
        np.zeros(offsets[-1], np.uint8), None, offsets, np.zeros(len(lengths), np.int64), 0
    )


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=300),
    st.integers(1, 17),
    st.integers(0, 5),
    st.integers(0, 5),
)
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_every_row_once_in_batches_of_the_size_asked(lengths, size, seed, epoch):
    encoded = of_lengths(lengths)
    made = list(batches(encoded, size, seed, epoch))
    assert sorted(np.concatenate(made).tolist()) == list(range(len(lengths)))
    sizes = sorted(map(len, made))
    assert sizes[1:] == [size] * (len(made) - 1)
    again = list(batches(encoded, size, seed, epoch))
    assert [one.tolist() for one in made] == [one.tolist() for one in again]


def test_epochs_and_seeds_differ_and_buckets_waste_little():
    lengths = np.random.default_rng(0).integers(3, 60, 5_000)
    encoded = of_lengths(lengths)

    def padded(made):
        return sum(len(one) * lengths[one].max() for one in made) / lengths.sum()

    orders = [np.concatenate(list(batches(encoded, 16, *key))) for key in ((0, 0), (0, 1), (1, 0))]
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[0], orders[2])
    # 1024 rows over 57 lengths: 16 neighbours differ by one token or so, of 31. Unsorted: 59 of 31.
    assert padded(batches(encoded, 16, 0, 0)) < 1.05
    assert padded(np.split(np.arange(4_992), 312)) > 1.7
    # Batches come in no order of length: the first ten are not the ten shortest or longest.
    firsts = [lengths[one].mean() for one in list(batches(encoded, 16, 0, 0))[:10]]
    assert np.ptp(firsts) > 15


@given(st.lists(st.integers(1, 40), min_size=1, max_size=300), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_evaluation_batches_hold_every_row_once_within_the_budget(lengths, budget):
    encoded = of_lengths(lengths)
    made = list(ordered_batches(encoded, budget))
    assert sorted(np.concatenate(made).tolist()) == list(range(len(lengths)))
    longest = [max(lengths[row] for row in one) for one in made]
    assert longest == sorted(longest, reverse=True)
    for one, most in zip(made, longest, strict=True):
        assert len(one) * most <= budget or len(one) == 1


@pytest.fixture
def spec(tmp_path):
    for name, count in (("train", 40), ("dev", 6)):
        lines = [
            json.dumps({"text": f"{name}{row} a b\U0001f600", "label": row % 2})
            for row in range(count)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    files = {"train": str(tmp_path / "train.jsonl"), "validation": str(tmp_path / "dev.jsonl")}
    return TaskSpec(files=files, text="text", max_length=16, search_rows=14)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def content(made):
    return [
        (*map(np.array, (one.tokens, one.offsets, one.labels)), made.rows(name).texts)
        for name in ("train", "search", "heldout")
        for one in [getattr(made, name)]
    ]


def same(one, other):
    return all(
        np.array_equal(a, b)
        for left, right in zip(content(one), content(other), strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_a_prepared_task_is_opened_by_its_folder_read_only_and_without_its_files(spec, folder):
    made = prepare(spec, tokenizer(), folder)
    Path(spec.files.train).unlink()
    opened = open_prepared(made.folder)
    assert same(made, opened)
    assert opened.label_names == ("LABEL_0", "LABEL_1")
    assert opened.metric == "accuracy"
    assert opened.heldout.labels.tolist() == [0, 1] * 3
    assert opened.rows("heldout").texts[0][5] == "dev5 a b\U0001f600"
    assert isinstance(opened.train.tokens, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened.train.tokens[0] = 1
    assert opened.train.batch(np.array([3, 0])).labels.shape == (2,)  # nor does torch warn


def test_preparing_again_opens_what_is_there_and_tokenises_nothing(spec, folder, monkeypatch):
    first = prepare(spec, tokenizer(), folder)
    monkeypatch.setattr(prepared, "encode", None)  # calling it would be an error
    again = prepare(spec, tokenizer(), folder)
    assert again.folder == first.folder
    assert [path.name for path in folder.iterdir()] == [first.folder.name]


def test_rows_tokenizer_and_length_each_have_a_folder_of_their_own(spec, folder):
    base = prepare(spec, tokenizer(), folder).folder
    others = [
        prepare(spec.model_copy(update={"max_length": 8}), tokenizer(), folder),
        prepare(spec.model_copy(update={"seed": 1}), tokenizer(), folder),
        prepare(spec.model_copy(update={"metric": "mcc"}), tokenizer(), folder),
        prepare(spec, tokenizer(30), folder),
    ]
    assert len({base, *(one.folder for one in others)}) == 5


def test_the_tokenizers_digest_is_of_its_content_not_of_its_use_or_place(tmp_path):
    used = tokenizer()
    fresh = tokenizer_digest(used)
    used(["a b c"], truncation=True, max_length=3, padding="max_length")
    used.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert tokenizer_digest(used) == tokenizer_digest(loaded) == fresh
    assert tokenizer_digest(tokenizer(27)) != fresh


def damages():
    def truncate(path):
        path.write_bytes(path.read_bytes()[:-1])

    def flip(path):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    return {"truncate": truncate, "flip": flip, "remove": Path.unlink}


@pytest.mark.parametrize("damage", damages())
@pytest.mark.parametrize(
    "name",
    ["manifest.json", "train.tokens.npy", "search.offsets.npy", "heldout.labels.npy"],
)
def test_a_damaged_folder_is_refused_and_built_anew(spec, folder, damage, name):
    made = prepare(spec, tokenizer(), folder)
    before = content(made)
    path = made.folder / name
    damages()[damage](path)
    if name == "manifest.json" and damage == "flip":
        path.write_bytes(b"{" + path.read_bytes())  # one bit of it may be in a free text
    with pytest.raises(DataError, match=r"damaged|no whole prepared task"):
        open_prepared(made.folder)
    with pytest.warns(DataWarning, match="building it anew"):
        again = prepare(spec, tokenizer(), folder)
    assert [path.name for path in folder.iterdir()] == [made.folder.name]
    for left, right in zip(before, content(again), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_a_prepared_task_from_elsewhere_runs_no_code(spec, folder, tmp_path):
    made = prepare(spec, tokenizer(), folder)
    path, ran = made.folder / "train.tokens.npy", tmp_path / "ran"
    np.save(path, np.array([Payload(ran)], dtype=object), allow_pickle=True)
    manifest = json.loads((made.folder / "manifest.json").read_text())
    manifest["checksums"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (made.folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="no whole prepared task"):
        open_prepared(made.folder)
    assert not ran.exists()
    np.load(path, allow_pickle=True)  # what would run, runs
    assert ran.is_dir()


class Payload:
    """A pickle that makes a folder when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_damaged_texts_are_refused_when_they_are_read(spec, folder):
    made = prepare(spec, tokenizer(), folder)
    damages()["flip"](made.folder / "search.texts.json")
    with pytest.raises(DataError, match=r"search.texts.json: damaged"):
        made.rows("search")


def test_a_failure_while_writing_leaves_nothing_that_could_be_opened(spec, folder, monkeypatch):
    def fails(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(prepared, "_sha256", fails)  # after the arrays, before the manifest
    with pytest.raises(KeyboardInterrupt):
        prepare(spec, tokenizer(), folder)
    assert list(folder.iterdir()) == []


def test_of_two_that_prepare_at_once_both_get_the_whole(spec, folder, monkeypatch):
    publish = prepared._publish

    def late(partial, final):
        monkeypatch.setattr(prepared, "_publish", publish)
        prepare(spec, tokenizer(), folder)  # another process is quicker
        publish(partial, final)

    monkeypatch.setattr(prepared, "_publish", late)
    made = prepare(spec, tokenizer(), folder)
    assert same(made, open_prepared(made.folder))
    assert len(list(folder.iterdir())) == 1


def test_a_trial_opens_it_without_the_datasets_library(spec, folder):
    made = prepare(spec, tokenizer(), folder)
    code = (
        "import sys; from pathlib import Path; from tune_distill.tasks import open_prepared;"
        "open_prepared(Path(sys.argv[1])).rows('train');"
        "print([m for m in ('datasets', 'pyarrow', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(made.folder)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.real
def test_rte_is_tokenised_as_the_tokenizer_itself_pads_it(shared, folder):
    real = PreTrainedTokenizerFast.from_pretrained(shared / "teachers" / "minilm-l6")
    data = shared / "data" / "glue" / "rte"
    files = {name: str(data / f"{name}.parquet") for name in ("train", "validation")}
    spec = TaskSpec(files=files, text=("sentence1", "sentence2"), max_length=48)
    made = prepare(spec, real, folder)
    some = np.array([5, 200, 17])
    texts = [[column[row] for row in some] for column in made.rows("heldout").texts]
    theirs = real(*texts, truncation="longest_first", max_length=48, padding=True)
    ours = made.heldout.batch(some).inputs()
    assert made.heldout.tokens.dtype == np.uint16
    for name, values in ours.items():
        assert values.tolist() == theirs[name]
