"""The words of the built-in reviews: lists by polarity, subject and tense, with synonyms."""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

Groups = tuple[tuple[str, ...], ...]  # groups of interchangeable words; most are singletons
SIGNS = {"good": 1, "bad": -1}


def parse_groups(text: str) -> Groups:
    """Read `a/b c_d`: the group (a, b) and the singleton "c d"."""
    return tuple(tuple(group.replace("_", " ").split("/")) for group in text.split())


@dataclass(frozen=True)
class Words:
    """One list of words; `groups` is by sign, 0 where it has no polarity."""

    groups: Mapping[int, Groups]

    @classmethod
    def parse(cls, entry: str | Mapping[str, str]) -> "Words":
        """Read a list, or a mapping of `good` and `bad` lists."""
        if isinstance(entry, str):
            return cls({0: parse_groups(entry)})
        return cls({SIGNS[name]: parse_groups(text) for name, text in entry.items()})


@dataclass(frozen=True)
class Urn:
    """Words to draw from: groups are equally likely, within a group the n-th word goes by 1 / n."""

    words: tuple[str, ...]
    cumulative: tuple[float, ...]

    @classmethod
    def of(cls, groups: Groups) -> "Urn":
        """The urn of a list's groups."""
        harmonic = [sum(1 / (rank + 1) for rank in range(len(group))) for group in groups]
        shares = [
            1 / (rank + 1) / total
            for group, total in zip(groups, harmonic, strict=True)
            for rank in range(len(group))
        ]
        return cls(tuple(word for group in groups for word in group), tuple(accumulate(shares)))

    def draw(self, random: Random) -> str:
        """One word."""
        return self.words[bisect(self.cumulative, random.random() * self.cumulative[-1])]


@dataclass(frozen=True)
class Scope:
    """The lists that one sentence draws from: of its domain, of its tense, and the common ones."""

    urns: Mapping[tuple[str, int], Urn]

    def urn(self, symbol: str, mode: str, sentiment: int) -> Urn:
        """The words of a slot: `{symbol}`, `{symbol+}` or, fixed, `{symbol.good}`."""
        name, _, fixed = symbol.partition(".")
        return self.urns[name, SIGNS[fixed] if fixed else sentiment if mode else 0]


@dataclass(frozen=True)
class Lexicon:
    """All lists; those of a domain or tense override none of the common ones."""

    common: Mapping[str, Words]
    tenses: tuple[Mapping[str, Words], ...]
    domains: tuple[Mapping[str, Words], ...]
    scopes: tuple[Scope, ...]

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> "Lexicon":
        """Read the lexicon file's mapping."""
        nested = ("common", "tense", "domain")
        common = parse_lists(
            {name: entry for name, entry in data.items() if name not in nested} | data["common"]
        )
        tenses = tuple(parse_lists(lists) for lists in data["tense"].values())
        domains = tuple(parse_lists(lists) for lists in data["domain"].values())
        scopes = tuple(flatten(common, tense, domain) for domain in domains for tense in tenses)
        return cls(common, tenses, domains, scopes)

    def scope(self, random: Random) -> Scope:
        """A domain and a tense, drawn uniformly."""
        return self.scopes[int(random.random() * len(self.scopes))]

    def groups(self) -> list[tuple[str, ...]]:
        """Every synonym group of every list, in file order; one may come more than once."""
        return [
            group
            for lists in (self.common, *self.tenses, *self.domains)
            for words in lists.values()
            for groups in words.groups.values()
            for group in groups
        ]

    def polar_words(self) -> frozenset[str]:
        """The words of every entry that is good or bad, in lower case."""
        return frozenset(
            part
            for lists in (self.common, *self.tenses, *self.domains)
            for words in lists.values()
            for sign, groups in words.groups.items()
            for group in groups
            for entry in group
            for part in entry.lower().split()
            if sign
        )


def parse_lists(data: Mapping[str, Any]) -> dict[str, Words]:
    """Read several lists by name."""
    return {name: Words.parse(entry) for name, entry in data.items()}


def flatten(*parts: Mapping[str, Words]) -> Scope:
    """One lookup table by (name, sign)."""
    return Scope(
        {
            (name, sign): Urn.of(groups)
            for lists in parts
            for name, words in lists.items()
            for sign, groups in words.groups.items()
        }
    )
