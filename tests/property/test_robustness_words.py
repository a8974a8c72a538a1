"""Words and edits on arbitrary text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tune_distill.robustness.edits import EDITS, candidates
from tune_distill.robustness.words import split

letters = st.text(st.characters(categories=("L",)), min_size=2, max_size=12)


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        above, row = row, [i]
        for j, y in enumerate(b, start=1):
            row.append(min(row[-1] + 1, above[j] + 1, above[j - 1] + (x != y)))
    return row[-1]


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
            assert new.isalpha()
            assert levenshtein(word, new) <= (2 if name == "swap" else 1)


@given(st.text(), st.integers(0, 2**32), st.data())
def test_an_edited_text_has_the_words_of_the_clean_one_in_their_places(text, seed, data):
    source = split(text)
    words = list(source.words)
    for place in range(len(words)):
        made = candidates(words[place], place, list(EDITS), seed)
        words[place] = data.draw(st.sampled_from([words[place], *made]))
    assert split(source.text(words)).words == tuple(words)
    assert split(source.text(words)).gaps == source.gaps
