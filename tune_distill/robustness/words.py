"""The words of a text that an attack may change, and the text with some of them changed.

A word is a maximal run of letters of any script: what BERT's pre-tokeniser would keep together too,
but for digits. Apostrophes, hyphens, digits, combining marks and emoji end a word and are
never touched, so that the words of an edited text are those of the clean one, place by place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


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


def split(text: str) -> Words:
    """The words of a text; `split(text).text(split(text).words) == text`."""
    # Not a regular expression: \w counts superscripts and fractions among its letters.
    runs = (
        (key, list(run)) for key, run in groupby(range(len(text)), lambda at: text[at].isalpha())
    )
    spans = tuple((run[0], run[-1] + 1) for letters, run in runs if letters)
    ends = (0, *(end for _, end in spans))
    starts = (*(start for start, _ in spans), len(text))
    return Words(
        words=tuple(text[start:end] for start, end in spans),
        gaps=tuple(text[end:start] for end, start in zip(ends, starts, strict=True)),
        spans=spans,
    )
