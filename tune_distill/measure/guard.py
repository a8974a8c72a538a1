"""The guard of a rung: what of a student's accuracy four random changes of each text leave.

    guard = 1/n Σ_i [right_i and right on each of 4 changed texts of row i]

over the rows that the attacks will meet. The changes are drawn by hash, not searched for: the same
texts for every student and every rung, five forward passes. Typing errors in 30 % of the words,
and, in two of the four where the study's attacks read a table, neighbours in place of words.

It is no robust accuracy. Random changes rank students worse than an attack does (a rank correlation
of 0.5, against 0.9 of an attack with 30 queries a row) and much too high, so it has a name
of its own, is never an objective, and serves to stop what breaks at a touch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tune_distill.hardening import Rewording
from tune_distill.hardening.random_char import RandomChar
from tune_distill.hardening.random_table import RandomTable
from tune_distill.measure import attack_rows
from tune_distill.robustness.opened import NONE, Opened
from tune_distill.spec import StudySpec
from tune_distill.tasks import Encoded, Prepared, Rows, encode
from tune_distill.train import Texts, predict

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CHANGED = 4  # texts of a row
RATE = 0.3  # of the words that can be changed, as of the attacks
SEED = 0


@dataclass(frozen=True, eq=False)
class Guard:
    """The rows and their changed texts, in the tokens of one student."""

    encoded: Encoded  # the rows as they are, then as each change left them
    rows: int

    @classmethod
    def of(
        cls,
        spec: StudySpec,
        task: Prepared,
        tokenizer: PreTrainedTokenizerBase,
        resources: Opened = NONE,
    ) -> Guard | None:
        """The guard of a study's trials; None where the study attacks nothing.

        Args:
            spec: the study.
            task: in the student's tokens.
            tokenizer: the student's.
            resources: of the study's attacks.
        """
        if not spec.attacked:
            return None
        rows = attack_rows(task, spec.robustness)
        chosen = task.rows("search").take(rows)
        texts = Texts(chosen.texts, tokenizer, task.max_length, resources.table)
        kinds: list[Rewording] = [RandomChar(rate=RATE)]
        if resources.table is not None and "table" in spec.robustness.attacks:
            kinds.append(RandomTable(rate=RATE))
        every = np.arange(len(rows))
        changed = [
            texts.changed(every, kinds[number % len(kinds)], SEED, number)
            for number in range(CHANGED)
        ]
        columns = tuple(
            [text for version in versions for text in version]
            for versions in zip(chosen.texts, *changed, strict=True)
        )
        labels = np.tile(chosen.labels, 1 + CHANGED)
        return cls(encode(Rows(columns, labels), tokenizer, task.max_length), len(rows))

    def score(self, model: PreTrainedModel, device: str = "cpu") -> float:
        """The share of the rows that a model has right, all versions of them."""
        right = predict(model, self.encoded, device).argmax(axis=1) == self.encoded.labels
        return float(right.reshape(-1, self.rows).all(axis=0).mean())
