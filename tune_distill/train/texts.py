"""The training rows as texts, for updates on other words than their own.

Which words of a row are changed, and what becomes of each, is drawn by hash of (seed, epoch, row,
column, word, place): the same whatever the batch, its order, or a restart. Of n words that can be
changed, floor(rate * n + u) are, with u uniform on [0, 1): at most rate * n rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.hardening import Rewording
from tune_distill.hardening.random_table import RandomTable
from tune_distill.robustness.constraints import cased
from tune_distill.robustness.draws import hashed
from tune_distill.robustness.edits import candidates
from tune_distill.robustness.stop_words import STOP_WORDS
from tune_distill.robustness.words import split
from tune_distill.tasks import Batch, Rows, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tune_distill.robustness.attacks import Profile
    from tune_distill.robustness.frozen import Found
    from tune_distill.robustness.opened import Opened
    from tune_distill.robustness.table import Table

EDITS = ("swap", "substitute", "delete", "insert")
SHORTEST = 3  # letters of a word that can be misspelt, as of the `char` attack
FINEST = 2**64  # what `hashed` stays below


@dataclass(frozen=True)
class Texts:
    """A split's rows as they were before they became tokens."""

    columns: tuple[list[str], ...]  # one, or the two of a pair
    tokenizer: PreTrainedTokenizerBase  # which made the rows' tokens
    max_length: int
    table: Table | None = None  # for `random_table`
    resources: Opened | None = None  # of attacks in the loop
    profile: Profile = "lax"  # of the same
    frozen: Found | None = None  # adversarial rows, found beforehand

    def reworded(self, batch: Batch, defence: Rewording, seed: int, epoch: int) -> Batch:
        """The rows of a batch in other words; their labels and row numbers are the batch's."""
        columns = self.changed(batch.rows, defence, seed, epoch)
        rows = Rows(columns, batch.labels.cpu().numpy())
        made = encode(rows, self.tokenizer, self.max_length).batch(np.arange(len(rows)))
        return replace(made.to(batch.input_ids.device), labels=batch.labels, rows=batch.rows)

    def changed(
        self, rows: NDArray[np.int64], defence: Rewording, seed: int, epoch: int
    ) -> tuple[list[str], ...]:
        """These rows in other words: a list a column."""
        return tuple(
            [
                self._changed(
                    column[row], defence, hashed(seed, str(epoch), int(row), f"column {n}")
                )
                for row in rows
            ]
            for n, column in enumerate(self.columns)
        )

    def _changed(self, text: str, defence: Rewording, seed: int) -> str:
        found = split(text, joined=isinstance(defence, RandomTable))
        options = {
            place: others
            for place, word in enumerate(found.words)
            if (others := self._options(word, place, defence, seed))
        }
        drawn = hashed(seed, "", len(options), "how many") / FINEST
        count = int(defence.rate * len(options) + drawn)
        ranked = sorted(options, key=lambda place: hashed(seed, "", place, "which"))
        words = list(found.words)
        for place in ranked[:count]:
            others, old = options[place], words[place]
            words[place] = others[hashed(seed, old, place, "what") % len(others)]
        return found.text(words)

    def _options(self, word: str, place: int, defence: Rewording, seed: int) -> list[str]:
        """What may become of a word; nothing if it stays."""
        if not isinstance(defence, RandomTable):
            return candidates(word, place, EDITS, seed) if len(word) >= SHORTEST else []
        if self.table is None:
            raise DataError(f"{defence.name} needs a table of neighbours")
        if word.lower() in STOP_WORDS:
            return []
        return [cased(other, like=word) for other in self.table.near(word, defence.neighbours)]
