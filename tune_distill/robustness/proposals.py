"""What may become of a word: edits of its letters, neighbours in a table, words a model expects."""

from __future__ import annotations

from collections.abc import Sequence

from tune_distill.errors import DataError
from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.constraints import cased
from tune_distill.robustness.edits import EDITS, candidates
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.words import Words


class Proposals:
    """An attack's candidates, by its resources."""

    def __init__(self, recipe: Attack, resources: Opened) -> None:
        found = resources.digest(recipe)
        if recipe.resource not in ("", found):
            raise DataError(
                f"attack {recipe.shown} was made for {recipe.resource}, and is given {found}"
            )
        self._recipe, self._masked = recipe, resources.masked_lm
        self._tables = {"table": resources.table, "wordnet": resources.wordnet}

    @property
    def in_context(self) -> bool:
        """Whether a word's candidates depend on the text around it, too."""
        return "masked_lm" in self._recipe.edits

    def alone(self, word: str, place: int) -> list[str]:
        """The candidates that a word has in any text."""
        recipe = self._recipe
        found: dict[str, None] = {}
        for edit in recipe.edits:
            if edit in EDITS:
                found |= dict.fromkeys(candidates(word, place, (edit,), recipe.seed))
            elif (table := self._tables.get(edit)) is not None:
                near = table.near(word, recipe.neighbours, recipe.min_cosine)
                found |= dict.fromkeys(cased(one, word) for one in near)
        return [one for one in found if one != word]

    def together(self, asked: Sequence[tuple[Words, Sequence[str], int]]) -> list[list[str]]:
        """What the masked model expects, for each (source, its words as they are now, place)."""
        if not self.in_context or self._masked is None:
            return [[] for _ in asked]
        mask = str(self._masked.tokenizer.mask_token)
        texts = [
            source.text([mask if at == place else one for at, one in enumerate(words)])
            for source, words, place in asked
        ]
        expected = self._masked.expected(texts, self._recipe.neighbours or 1)
        return [
            [
                cased(one, source.words[place])
                for one in dict.fromkeys(found)
                if one.lower() != source.words[place].lower()
            ]
            for (source, _, place), found in zip(asked, expected, strict=True)
        ]
