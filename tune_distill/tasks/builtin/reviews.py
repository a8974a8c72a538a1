"""The built-in corpus: English review sentences with their sentiment, made from our own grammar.

Nothing is downloaded. A known share of the labels is wrong (`NOISE_RATE`), in every split alike, so
1 - NOISE_RATE is the best accuracy that a model can be expected to reach.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, NamedTuple, TypeVar

import numpy as np
import yaml

from tune_distill.tasks.builtin.grammar import Grammar, Rule
from tune_distill.tasks.builtin.lexicon import Lexicon

Item = TypeVar("Item")

LABEL_NAMES = ("negative", "positive")
NOISE_RATE = 0.02  # share of labels flipped in each split, half of them in each class
SIZES = {"train": 12_000, "search": 1_500, "heldout": 1_500}
SEED = 20_240_601


class Split(NamedTuple):
    """Sentences with the labels a model sees, and those that the grammar derived."""

    texts: list[str]
    labels: np.ndarray  # (rows,) int64, noisy
    clean: np.ndarray  # (rows,) int64


@dataclass(frozen=True)
class Corpus:
    """The three splits of the built-in reviews."""

    train: Split
    search: Split
    heldout: Split
    label_names: tuple[str, ...] = LABEL_NAMES


@cache
def grammar() -> Grammar:
    """The grammar of the reviews, read from the package's own files."""
    rules = read("grammar.yaml")
    return Grammar(
        {symbol: Rule.parse(entries) for symbol, entries in rules.items()},
        Lexicon.parse(read("lexicon.yaml")),
    )


def corpus() -> Corpus:
    """The corpus, the same on every machine."""
    random = Random(SEED)
    seen: set[str] = set()
    train, search, heldout = (make_split(size, seen, random) for size in SIZES.values())
    return Corpus(train, search, heldout)


def synonyms() -> dict[str, tuple[str, ...]]:
    """Interchangeable words: for each word of a synonym group, the others of its group."""
    return {
        word: tuple(other for other in group if other != word)
        for group in grammar().lexicon.groups()
        if len(group) > 1
        for word in group
    }


def make_split(size: int, seen: set[str], random: Random) -> Split:
    """New sentences, as many of each sentiment, shuffled, with noisy labels."""
    rows = [(new_sentence(2 * (row % 2) - 1, seen, random), row % 2) for row in range(size)]
    shuffle(rows, random)
    clean = np.array([label for _, label in rows], dtype=np.int64)
    labels = clean.copy()
    for label in range(len(LABEL_NAMES)):
        # Rows are in random order already: the first ones of a class are a random choice of it.
        flipped = np.flatnonzero(clean == label)[: round(NOISE_RATE * size / len(LABEL_NAMES))]
        labels[flipped] = 1 - label
    shuffled = list(range(size))
    shuffle(shuffled, random)
    return Split([rows[row][0] for row in shuffled], labels[shuffled], clean[shuffled])


def new_sentence(sentiment: int, seen: set[str], random: Random) -> str:
    """A sentence that differs from all seen so far by more than case and punctuation."""
    while True:
        text = grammar().sentence("sentence", sentiment, random)
        if (key := fingerprint(text)) not in seen:
            seen.add(key)
            return text


def fingerprint(text: str) -> str:
    """A sentence without case, punctuation and spacing."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()


def shuffle(items: list[Item], random: Random) -> None:
    """Fisher-Yates over Random.random(), which Python promises not to change (shuffle it may)."""
    for last in range(len(items) - 1, 0, -1):
        other = int(random.random() * (last + 1))
        items[last], items[other] = items[other], items[last]


def read(name: str) -> dict[str, Any]:
    """A YAML file of this package."""
    data: dict[str, Any] = yaml.safe_load(files(__package__).joinpath(name).read_text("utf-8"))
    return data
