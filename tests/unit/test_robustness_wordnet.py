"""WordNet's files read by hand, morphy turned round, and the real ones."""

from __future__ import annotations

import tarfile

import pyarrow.parquet as pq
import pytest

from tune_distill.errors import DataError
from tune_distill.robustness import wordnet

LICENCE = "  1 This software and database is being provided to you\n"
# lemma pos synsets pointers [symbols] senses tagged offsets...
INDEX = {
    "noun": "film n 2 0 2 1 00000010 00000020\nmovie n 1 0 1 0 00000010\nman n 1 0 1 0 00000030\n"
    "goose n 1 0 1 0 00000040\nmotion_picture n 1 0 1 0 00000010\n",
    "verb": "film v 1 0 1 0 00000010\nshoot v 1 0 1 0 00000010\n",
    "adj": "good a 1 1 ! 1 1 00000010\nbad a 1 1 ! 1 1 00000020\n"
    "fine a 2 0 2 0 00000010 00000020\n",
    "adv": "",
}
# offset file type words(hex) [word id]... pointers [symbol offset part source+target]... | gloss
DATA = {
    "noun": "00000010 06 n 03 film 0 movie 0 motion_picture 0 000 | a story in pictures\n"
    "00000020 06 n 02 film 0 plastic_film 0 000 | a thin sheet\n"
    "00000030 06 n 02 man 0 fellow 0 000 | a person\n"
    "00000040 06 n 02 goose 0 Gander 0 000 | a bird\n",
    "verb": "00000010 36 v 02 film 0 shoot 0 000 01 + 08 00 | record\n",
    "adj": "00000010 00 a 02 good 0 fine(p) 0 001 ! 00000020 a 0101 | pleasing\n"
    "00000020 00 s 03 bad 0 fine 0 good 0 001 ! 00000010 a 0101 | not\n",
    "adv": "",
}


@pytest.fixture
def folder(tmp_path):
    for part in wordnet.PARTS:
        (tmp_path / f"index.{part}").write_text(LICENCE + INDEX[part])
        (tmp_path / f"data.{part}").write_text(LICENCE + DATA[part])
    (tmp_path / "noun.exc").write_text("geese goose\nmen man\n")
    return tmp_path


def test_synonyms_are_those_of_the_first_sense_first_and_no_phrases(folder):
    table = wordnet.read(folder, "key")
    # Noun sense 0, then verb sense 0; "thin sheet" adds only a phrase.
    assert table.near("film") == ["movie", "shoot"]
    assert table.near("movie") == ["film"]


def test_an_inflected_form_has_the_synonyms_of_its_bases(folder):
    table = wordnet.read(folder, "key")
    assert table.near("films") == ["movie", "shoot"]  # a noun and a verb
    assert table.near("filming") == table.near("filmed") == ["shoot"]
    assert table.near("geese") == ["Gander"]
    assert table.near("men") == ["fellow"]  # by the exceptions and by the rule men: man, once
    assert table.near("finer") == table.near("fine") == ["good", "bad"]


def test_antonyms_are_no_synonyms(folder):
    # One synset says that "bad" means "good", and a pointer that they are opposites.
    assert wordnet.read(folder, "key").near("bad") == ["fine"]
    assert wordnet.antonyms(folder) == {("good", "bad"), ("bad", "good")}


def test_an_exceptional_form_has_no_other_base(folder):
    # "goos" is in no list, so the rule s: makes it a form of "goo", which is no word.
    (folder / "noun.exc").write_text("geese goose\nfilms goose\n")
    table = wordnet.read(folder, "key")
    assert table.near("films") == ["Gander", "shoot"]  # the noun's rule no longer applies


def test_other_folders_and_damaged_files_are_refused(folder, tmp_path):
    (folder / "data.verb").write_text("00000010 36 v xx film\n")
    with pytest.raises(DataError, match="damaged"):
        wordnet.read(folder, "key")
    (folder / "data.verb").unlink()
    with pytest.raises(DataError, match=r"key: .*wordnet-base"):
        wordnet.read(folder, "key")


@pytest.mark.real
def test_wordnet_itself_agrees_with_its_synonyms_as_others_read_them(shared, tmp_path):
    kept = shared / "data" / "robustness"
    with tarfile.open(kept / "wordnet-3.0-dict.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    table = wordnet.read(tmp_path / "wordnet-3.0", "key")
    read = pq.read_table(kept / "wordnet_synonyms.parquet").to_pydict()
    opposites = wordnet.antonyms(tmp_path / "wordnet-3.0")
    for word in ("film", "movie", "entertaining", "dull", "happy", "wonderful", "story"):
        rows = zip(read["word"], read["synonym"], strict=True)
        oracle = {synonym.lower() for own, synonym in rows if own == word}
        oracle -= {synonym for synonym in oracle if (word, synonym) in opposites}
        assert oracle <= {near.lower() for near in table.near(word)}
    assert set(table.near("geese")) >= {"goof", "zany"}
    assert set(table.near("wonderfully")) >= {"marvellously", "superbly"}
    assert not any(" " in near or "_" in near for near in table.neighbours)
