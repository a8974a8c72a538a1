"""Words and edits on arbitrary text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tune_distill.robustness.constraints import distance
from tune_distill.robustness.edits import EDITS, candidates
from tune_distill.robustness.words import split

OF_LETTERS = [name for name in EDITS if name not in ("space", "similar")]
letters = st.text(st.characters(categories=("L",)), min_size=2, max_size=12)


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (x != y)))
    return row[-1]


@given(st.text(st.characters() | st.sampled_from("'-_*@ ab1")), st.integers(0, 20))
def test_joined_words_begin_and_end_in_a_letter_or_a_digit(text, place):
    source = split(text, joined=True)
    assert source.text(source.words) == text
    assert all(word[0].isalnum() and word[-1].isalnum() for word in source.words)
    assert not any(char.isalnum() for gap in source.gaps for char in gap)
    if place < len(source.words):
        words = list(source.words)
        words[place] = "new"
        assert source.changed(place, "new") == source.text(words)
        words[place] = ""
        assert source.without(place).split() == source.text(words).split()


@given(st.text())
def test_a_text_is_its_words_and_gaps(text):
    words = split(text)
    assert words.text(words.words) == text
    assert [text[start:end] for start, end in words.spans] == list(words.words)
    assert all(word.isalpha() for word in words.words)
    assert not any(char.isalpha() for gap in words.gaps for char in gap)


@given(letters, st.integers(0, 500), st.integers())
def test_an_edit_is_a_small_change_to_another_word_of_letters(word, position, seed):
    for name in EDITS:
        for new in candidates(word, position, [name], seed):
            assert new != word
            assert name not in OF_LETTERS or new.isalpha()
            assert distance(word, new) == levenshtein(word, new)
            assert 1 <= distance(word, new) <= (2 if name in ("swap", "swaps", "inner") else 1)


@given(st.text(), st.integers(0, 2**32), st.data())
def test_an_edited_text_has_the_words_of_the_clean_one_in_their_places(text, seed, data):
    source = split(text)
    words = list(source.words)
    for place in range(len(words)):
        made = candidates(words[place], place, OF_LETTERS, seed)
        words[place] = data.draw(st.sampled_from([words[place], *made]))
    assert split(source.text(words)).words == tuple(words)
    assert split(source.text(words)).gaps == source.gaps
