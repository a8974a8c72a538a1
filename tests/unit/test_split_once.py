"""Splits that are kept: the same as anew, never of other rows, and never half of one."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from tune_distill.tasks import once
from tune_distill.tasks.once import FORMAT, split_once
from tune_distill.tasks.rows import Rows
from tune_distill.tasks.split import Split, split


def rows(count=60, label=lambda row: row % 2):
    """Sentences that share no word, each twice, and a few once more with the other label."""
    texts = [" ".join(f"w{row}n{place}" for place in range(4)) for row in range(count)]
    texts += [*texts, *texts[:3]]
    labels = [label(row) for row in range(count)] * 2 + [1 - label(row) for row in range(3)]
    return Rows((texts,), np.array(labels, np.int64))


def parts(made: Split):
    return (made.train.tolist(), made.search.tolist(), made.note)


@pytest.fixture
def anew(monkeypatch):
    """The calls of `split` itself."""
    calls = []

    def told(*given):
        calls.append(given[1:])
        return split(*given)

    monkeypatch.setattr(once, "split", told)
    return calls


def test_a_split_is_made_once_and_is_the_same(tmp_path, anew):
    folder = tmp_path / "cache" / "splits"
    made = [split_once(rows(), 10, 3, folder) for _ in range(3)]
    assert [parts(one) for one in made] == [parts(split(rows(), 10, 3))] * 3
    assert made[2].train.dtype == made[0].train.dtype
    assert anew == [(10, 3)]
    assert len(list(folder.iterdir())) == 1


def test_without_a_folder_it_is_made_each_time(anew):
    for _ in range(2):
        split_once(rows(), 10, 3, None)
    assert len(anew) == 2


@pytest.mark.parametrize(
    "other",
    [
        (rows(61), 10, 3),
        (rows(label=lambda row: row % 3 % 2), 10, 3),
        (rows().take(np.arange(len(rows()))[::-1]), 10, 3),  # row numbers are told
        (rows(), 11, 3),
        (rows(), None, 3),
        (rows(), 10, 4),
    ],
)
def test_what_changes_a_split_makes_another(tmp_path, anew, other):
    split_once(rows(), 10, 3, tmp_path)
    assert parts(split_once(*other, tmp_path)) == parts(split(*other))
    assert len(anew) == 2


def test_a_kept_split_of_another_format_is_not_read(tmp_path, anew, monkeypatch):
    split_once(rows(), 10, 3, tmp_path)
    monkeypatch.setattr(once, "FORMAT", FORMAT + 1)
    split_once(rows(), 10, 3, tmp_path)
    assert len(anew) == 2


def flipped(raw):
    """Another number of a row, as a broken disk would have it."""
    at = raw.index(np.int64(57).tobytes())
    return raw[:at] + np.int64(58).tobytes() + raw[at + 8 :]


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], flipped, lambda _: b"", lambda _: b"x"]
)
def test_a_damaged_file_is_made_anew(tmp_path, anew, damage):
    split_once(rows(), 10, 3, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    for _ in range(2):
        assert parts(split_once(rows(), 10, 3, tmp_path)) == parts(split(rows(), 10, 3))
    assert len(anew) == 2


def test_rows_are_parted_as_they_were_when_the_format_was_numbered():
    """Kept splits are of the code that made them: change this hash and `FORMAT` together."""
    words = np.random.default_rng(0).zipf(1.5, (600, 8)).clip(max=300)
    texts = [" ".join(f"w{w}" for w in row[: 1 + place % 8]) for place, row in enumerate(words)]
    given = Rows((texts * 2,), np.tile(np.arange(600) // 3 % 2, 2))
    made = [parts(split(given, wanted, seed)) for wanted, seed in ((20, 0), (None, 1))]
    assert all(int(count) for count in re.findall(r"\d+", made[0][-1]))  # each rule has its rows
    told = hashlib.sha256(repr(made).encode()).hexdigest()
    assert (FORMAT, told[:16]) == (1, "ba5d72d3a1761a18")
