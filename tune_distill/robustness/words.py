"""The words of a text that an attack may change, and the text with some of them changed.

A word is a maximal run of letters of any script: what BERT's pre-tokeniser would keep together too,
but for digits. Apostrophes, hyphens, digits, combining marks and emoji end a word and are
never touched, so that edits of letters leave the words of a text in their places.

Joined, a word may also hold digits and, but for its ends, any of ' - _ * @: "well-made" and
"don't" are one word, and have neighbours of their own or none. These are TextAttack's words, but
that it takes ` and a few characters that look like letters for letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

JOINERS = "'-_*@"


@dataclass(frozen=True)
class Words:
    """A text as words and what lies between them: gaps[0] words[0] gaps[1] … words[-1] gaps[-1]."""

    words: tuple[str, ...]
    gaps: tuple[str, ...]  # one more than words
    spans: tuple[tuple[int, int], ...]  # of each word, in characters of the text

    def text(self, words: Sequence[str]) -> str:
        """The text with these words in the place of its own."""
        parts = [self.gaps[0]]
        for word, gap in zip(words, self.gaps[1:], strict=True):
            parts += (word, gap)
        return "".join(parts)

    def changed(self, place: int, word: str) -> str:
        """The text with another word in one place."""
        start, end = self.spans[place]
        whole = self.text(self.words)
        return whole[:start] + word + whole[end:]

    def without(self, place: int) -> str:
        """The text without a word, and without the space that then stands twice."""
        start, end = self.spans[place]
        whole = self.text(self.words)
        left, right = whole[:start], whole[end:]
        return left + right[right.startswith(" ") and (not left or left.endswith(" ")) :]


def split(text: str, joined: bool = False) -> Words:
    """The words of a text; `split(text).text(split(text).words) == text`."""
    spans = tuple(_joined(text) if joined else _runs(text))
    ends = (0, *(end for _, end in spans))
    starts = (*(start for start, _ in spans), len(text))
    return Words(
        words=tuple(text[start:end] for start, end in spans),
        gaps=tuple(text[end:start] for end, start in zip(ends, starts, strict=True)),
        spans=spans,
    )


def _runs(text: str) -> Iterator[tuple[int, int]]:
    # Not a regular expression: \w counts superscripts and fractions among its letters.
    start = None
    for at, char in enumerate(f"{text} "):
        if start is None and char.isalpha():
            start = at
        elif start is not None and not char.isalpha():
            yield start, at
            start = None


def _joined(text: str) -> Iterator[tuple[int, int]]:
    start = None
    for at, char in enumerate(f"{text} "):
        if start is None and char.isalnum():
            start = at
        elif start is not None and not (char.isalnum() or char in JOINERS):
            yield start, start + len(text[start:at].rstrip(JOINERS))
            start = None
