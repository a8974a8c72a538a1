"""Tables of neighbours: from every kind of source, in rank order, the same again from disk."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tune_distill.errors import DataError
from tune_distill.robustness import neighbours, vectors
from tune_distill.robustness.table import Table, opened

TABLE = Table.of(
    {
        "Film": [("movie", 0.9), ("movie", 0.1), ("Film", 1.0), ("flick", 0.6)],
        "good": [("great", 0.8), ("very good", 0.7), ("bad_boy", 0.7), ("fine", math.nan)],
        "of": [("3", 0.9)],
    }
)


def test_phrases_numbers_and_the_word_itself_are_no_neighbours():
    assert TABLE.words == ("film", "good")
    assert TABLE.near("film") == ["movie", "flick"]
    assert TABLE.near("good") == ["great", "fine"]
    assert TABLE.near("of") == TABLE.near("unheard") == []


def test_a_word_is_looked_up_in_lower_case():
    assert TABLE.near("FILM") == TABLE.near("film")


@pytest.mark.parametrize(
    ("most", "least", "expected"),
    [
        (1, None, ["great"]),
        (None, 0.9, ["fine"]),
        (None, 0.8, ["great", "fine"]),
        (5, -1.0, ["great", "fine"]),
    ],
)
def test_neighbours_are_limited_by_rank_and_by_cosine_where_it_is_known(most, least, expected):
    assert TABLE.near("good", most, least) == expected


def test_a_table_is_the_same_from_disk(tmp_path):
    TABLE.write(tmp_path / "t.parquet")
    read = opened(tmp_path / "t.parquet")
    assert read.words == TABLE.words
    assert read.digest == TABLE.digest
    assert [read.near(word) for word in read.words] == [TABLE.near(word) for word in TABLE.words]
    assert neighbours.read(tmp_path / "t.parquet", "key").digest == TABLE.digest


def test_an_empty_table_survives_too(tmp_path):
    Table.of({}).write(tmp_path / "t.parquet")
    assert opened(tmp_path / "t.parquet").words == ()


def test_the_digest_follows_the_content():
    others = [{"film": [("movie", 0.9)]}, {"film": [("movie", 0.8)]}, {"film": [("flick", 0.9)]}]
    assert len({Table.of(entries).digest for entries in others}) == 3


def test_antonyms_are_dropped_either_way_round():
    table = Table.of({"good": [("bad", 0.9), ("fine", 0.8)], "bad": [("Good", 0.9)]})
    less = table.less([("bad", "good")])
    assert less.near("good") == ["fine"]
    assert less.words == ("good",)


def test_a_list_of_neighbours_is_read_from_json(tmp_path):
    path = tmp_path / "near.json"
    path.write_text(json.dumps({"film": ["movie", "flick"], "good": [["great", 0.8]]}))
    table = neighbours.read(path, "key")
    assert table.near("film") == ["movie", "flick"]
    assert table.near("good", min_cosine=0.9) == []
    path.write_text('["film"]')
    with pytest.raises(DataError, match=r"key: .*no neighbours"):
        neighbours.read(path, "key")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"neighbour": ["b", "c"], "rank": [1, 0]}, ["c", "b"]),
        ({"neighbor": ["b", "c"], "cosine": [0.5, 0.7]}, ["c", "b"]),
        ({"synonym": ["b", "c"]}, ["b", "c"]),
    ],
)
def test_columns_are_ordered_by_rank_or_cosine_or_as_they_come(tmp_path, columns, expected):
    pq.write_table(pa.table({"word": ["a", "a"], **columns}), tmp_path / "t.parquet")
    assert neighbours.read(tmp_path / "t.parquet", "key").near("a") == expected


def test_a_file_without_the_columns_is_refused_by_name(tmp_path):
    pq.write_table(pa.table({"wort": ["a"], "neighbour": ["b"]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"no column 'word'.*did you mean wort"):
        neighbours.read(tmp_path / "t.parquet", "key")
    with pytest.raises(DataError, match="does not exist"):
        neighbours.read(tmp_path / "none.parquet", "key")


# cos(a, b) = 0.8, cos(a, c) = 0.6, cos(b, c) = 0.8*0.6 + 0.6*0.8 = 0.96; d is opposite to a.
VECTORS = {"a": [2.0, 0.0], "b": [0.8, 0.6], "c": [0.6, 0.8], "d": [-1.0, 0.0]}


def write_vectors(path):
    if path.suffix == ".npz":
        np.savez(path, words=np.array(list(VECTORS)), vectors=np.array(list(VECTORS.values())))
        return
    lines = [f"{word} {' '.join(map(str, values))}" for word, values in VECTORS.items()]
    header = ["4 2"] if path.suffix == ".vec" else []
    path.write_text("\n".join([*header, *lines]))


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.npz"])
def test_the_nearest_vectors_are_the_neighbours(tmp_path, name):
    write_vectors(tmp_path / name)
    table = neighbours.read(tmp_path / name, "key")
    assert table.words == ("a", "b", "c")
    assert [table.near(word) for word in "abc"] == [["b", "c"], ["c", "a"], ["b", "a"]]
    np.testing.assert_allclose(table.cosines, [0.8, 0.6, 0.96, 0.8, 0.96, 0.6], rtol=1e-6)
    assert vectors.read(tmp_path / name, "key", neighbours=1).near("a") == ["b"]
    assert vectors.read(tmp_path / name, "key", min_cosine=0.7).near("a") == ["b"]


def test_blocks_of_words_change_nothing(tmp_path, monkeypatch):
    write_vectors(tmp_path / "v.npz")
    whole = neighbours.read(tmp_path / "v.npz", "key").entries()
    monkeypatch.setattr(vectors, "BLOCK", 3)
    assert neighbours.read(tmp_path / "v.npz", "key").entries() == whole


@pytest.mark.parametrize("text", ["", "a x y\nb 1 2", "a 1 2\nb 1", "a nan 1\nb 1 1"])
def test_what_is_no_vectors_is_refused(tmp_path, text):
    (tmp_path / "v.txt").write_text(text)
    with pytest.raises(DataError, match=r"v\.txt"):
        neighbours.read(tmp_path / "v.txt", "key")
