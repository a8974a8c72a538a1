"""A table of synonyms from WordNet's own `dict` files: Debian's wordnet-base, NLTK's corpus folder.

Synonyms of a word are the other single words of its synsets, those of its first sense first, as
PWWS and TextAttack take them: of any part of speech, and in their base form ("films": "movie").

Morphology is WordNet's morphy, turned round. An inflected form has the synonyms of every base that
the exception lists (`noun.exc` ...) give for it, or else that a detachment rule makes of it, and
its own if it is a word. Rules are applied once (morphy goes on where it finds nothing). Antonyms
(pointers `!`) are dropped.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tune_distill.errors import DataError
from tune_distill.robustness.table import Table, usable

PARTS = ("noun", "verb", "adj", "adv")
RULES = {  # ending of a form, ending of its base: morphy(7WN)
    "noun": "s: ses:s ves:f xes:x zes:z ches:ch shes:sh men:man ies:y",
    "verb": "s: ies:y es:e es: ed:e ed: ing:e ing:",
    "adj": "er: est: er:e est:e",
    "adv": "",
}


@dataclass(frozen=True)
class Synset:
    """The words that mean one thing, and the antonyms of each."""

    words: tuple[str, ...]
    opposites: tuple[tuple[int, str, int, int], ...]  # (own word, part, offset, their word)


def is_wordnet(folder: Path) -> bool:
    """Whether these are WordNet's files."""
    return all(
        (folder / f"{kind}.{part}").is_file() for kind in ("index", "data") for part in PARTS
    )


def read(folder: Path, key: str) -> Table:
    """The synonyms of every form of every word, without antonyms.

    Raises:
        DataError: not WordNet's files, or damaged ones.
    """
    if not is_wordnet(folder):
        raise DataError(
            f"{key}: {folder} lacks WordNet's index.noun, data.noun ...; give its dict folder, such"
            " as /usr/share/wordnet of Debian's package wordnet-base"
        )
    try:
        synsets = {part: _synsets(folder / f"data.{part}") for part in PARTS}
        senses = {part: _senses(folder / f"index.{part}") for part in PARTS}
        exceptions = {part: _exceptions(folder / f"{part}.exc") for part in PARTS}
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"{key}: {folder}: damaged WordNet files: {error}") from error
    opposites = _antonyms(synsets)
    ranked: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for at, part in enumerate(PARTS):
        for lemma, offsets in senses[part].items():
            found = [
                (sense, at, word)
                for sense, offset in enumerate(offsets)
                for word in synsets[part][offset].words
                if word.lower() != lemma and (lemma, word.lower()) not in opposites
            ]
            for form in _forms(lemma, part, exceptions[part]):
                ranked[form] += found
    return Table.of({w: [(s, math.nan) for *_, s in sorted(r)] for w, r in ranked.items()})


def antonyms(folder: Path) -> set[tuple[str, str]]:
    """The pairs of words that WordNet calls antonyms, in lower case; each way round."""
    return _antonyms({part: _synsets(folder / f"data.{part}") for part in PARTS})


def _antonyms(synsets: dict[str, dict[int, Synset]]) -> set[tuple[str, str]]:
    return {
        (word.lower(), synsets[part][offset].words[other].lower())
        for by_offset in synsets.values()
        for synset in by_offset.values()
        for own, part, offset, other in synset.opposites
        for word in [synset.words[own]]
    }


def _forms(lemma: str, part: str, exceptions: dict[str, set[str]]) -> Iterator[str]:
    """The forms whose base this is; one that is an exception has no other base than listed."""
    yield lemma
    yield from exceptions[lemma]
    made = {
        lemma.removesuffix(base) + ending
        for ending, base in (rule.split(":") for rule in RULES[part].split())
        if lemma.endswith(base)
    }
    yield from sorted(made - exceptions[""] - exceptions[lemma] - {lemma})


def _exceptions(path: Path) -> dict[str, set[str]]:
    """The irregular forms of each base; under "" all of them."""
    found: dict[str, set[str]] = defaultdict(set)
    if path.is_file():
        for form, *bases in map(str.split, path.read_text(encoding="utf-8").splitlines()):
            for base in ("", *bases):
                found[base].add(form)
    return found


def _lines(path: Path) -> Iterator[list[str]]:
    """The entries; the licence in front is indented."""
    with path.open(encoding="utf-8") as file:
        yield from (line.split() for line in file if not line.startswith(" "))


def _senses(path: Path) -> dict[str, list[int]]:
    """The synsets of each single word, the most frequent first: by index(5WN)."""
    return {
        lemma: [int(offset) for offset in fields[-int(fields[1]) :]]
        for lemma, *fields in _lines(path)
        if usable(lemma)
    }


def _synsets(path: Path) -> dict[int, Synset]:
    """The synsets by offset: data(5WN)."""
    found = {}
    for fields in _lines(path):
        count = int(fields[3], 16)
        # An adjective may carry its position: galore(ip).
        words = tuple(word.partition("(")[0] for word in fields[4 : 4 + 2 * count : 2])
        begin = 5 + 2 * count
        pointers = fields[begin : begin + 4 * int(fields[begin - 1])]
        opposites = tuple(
            (int(ends[:2], 16) - 1, _PART[part], int(offset), int(ends[2:], 16) - 1)
            for kind, offset, part, ends in zip(*(iter(pointers),) * 4, strict=True)
            if kind == "!"
        )
        found[int(fields[0])] = Synset(words, opposites)
    return found


_PART = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
