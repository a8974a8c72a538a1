"""A signed context-free grammar: sentences whose sentiment follows from how they are built.

A form is text with slots. A slot names a rule or a list of words and says which sentiment it gets:
`{x+}` the one asked for, `{x-}` the opposite, `{x?}` one drawn at random, `{x}` none. Every form
serves both sentiments, so the frame of a sentence alone says nothing about its label.
"""

import re
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from tune_distill.tasks.builtin.lexicon import Lexicon, Scope, Urn

SLOT = re.compile(r"\{([a-z_.]+)([-+?]?)\}")
ARTICLE = re.compile(
    r"\b([Aa]) (?=[aeiou]|hono|heir|hour)(?!uni[^nm]|us[aei]|one\b|eu)", re.IGNORECASE
)
REDRAWS = 8  # a word already in the sentence is drawn again this often, then repeated


@dataclass(frozen=True)
class Slot:
    """A place in a form: what fills it and how it passes the sentiment on."""

    symbol: str
    mode: str  # "+", "-", "?" or ""

    def sentiment(self, asked: int, random: Random) -> int:
        """The sentiment (+1 or -1) of what fills the slot; it is unused where the mode is ''."""
        if self.mode == "?":
            return 1 if random.random() < 0.5 else -1
        return -asked if self.mode == "-" else asked


Form = tuple[str | Slot, ...]


@dataclass(frozen=True)
class Rule:
    """Weighted forms of one symbol; `cumulative` holds the running sums of their weights."""

    forms: tuple[Form, ...]
    cumulative: tuple[float, ...]

    @classmethod
    def parse(cls, entries: list[Any]) -> "Rule":
        """Read a rule: each entry is a text, or [weight, text]."""
        pairs = [(1, entry) if isinstance(entry, str) else tuple(entry) for entry in entries]
        forms = tuple(parse_form(text) for _, text in pairs)
        return cls(forms, tuple(accumulate(float(weight) for weight, _ in pairs)))

    def draw(self, random: Random) -> Form:
        """One form, by weight."""
        return self.forms[bisect(self.cumulative, random.random() * self.cumulative[-1])]


def parse_form(text: str) -> Form:
    """Split a form into literal text and slots."""
    parts: list[str | Slot] = []
    end = 0
    for match in SLOT.finditer(text):
        parts += [text[end : match.start()], Slot(match[1], match[2])]
        end = match.end()
    return tuple(part for part in [*parts, text[end:]] if part != "")


@dataclass(frozen=True)
class Grammar:
    """Rules over a lexicon."""

    rules: Mapping[str, Rule]
    lexicon: Lexicon

    def sentence(self, symbol: str, sentiment: int, random: Random) -> str:
        """A sentence of `symbol` with sentiment +1 (positive) or -1, in one domain and tense."""
        scope = self.lexicon.scope(random)
        text = self._expand(symbol, "+", sentiment, scope, set(), random)
        text = ARTICLE.sub(r"\1n ", text)
        return text[0].upper() + text[1:]

    def _expand(
        self, symbol: str, mode: str, sentiment: int, scope: Scope, used: set[str], random: Random
    ) -> str:
        rule = self.rules.get(symbol)
        if rule is None:
            return draw_word(scope.urn(symbol, mode, sentiment), used, random)
        return "".join(
            part
            if isinstance(part, str)
            else self._expand(
                part.symbol, part.mode, part.sentiment(sentiment, random), scope, used, random
            )
            for part in rule.draw(random)
        )


def draw_word(urn: Urn, used: set[str], random: Random) -> str:
    """A word of the urn, preferably one that the sentence does not have yet."""
    word = urn.draw(random)
    for _ in range(REDRAWS):
        if word not in used:
            break
        word = urn.draw(random)
    used.add(word)
    return word
