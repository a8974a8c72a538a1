"""Attacks in the loop: Yoo and Qi, "Towards Improving Adversarial Training of NLP Models", 2021.

arXiv 2109.00544 (A2T), its schedule: a clean beginning, then in every epoch a share of the training
rows is attacked as the student stands, words in order of their gradient, and it learns from the
result beside the clean rows. Published: 20 % of the rows, at most 200 queries a row, the first of 4
epochs clean. Where we differ: the recipe is any of the study's, without A2T's sentence encoder and
parts of speech; rows that held out stay in, at the attack's best try, where A2T attacks further
rows; 30 queries, as in the study's own attacks.

What it costs at most: a query is a forward pass, a third of a plain one, and the order's gradient
two thirds, of each attacked row. Rows that flip early or are wrong already cost less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from tune_distill.hardening.adversaries import Adversaries
from tune_distill.hardening.ball import CLIMB


@dataclass(frozen=True)
class Attack(Adversaries):
    """Texts that fool the student as it is."""

    name: ClassVar[str] = "attack"

    clean: Annotated[float, Ge(0), Lt(1)] = 0.25  # share of the updates before the first attack

    @property
    def part(self) -> float:
        """As of any defence, but for the clean beginning of stage during."""
        return 1 - self.clean if self.stage == "during" else super().part

    @property
    def passes(self) -> float:
        """The batch, the rows beside it, and what it takes to find them."""
        return 1 + self.ratio * (1 + CLIMB + self.queries / 3)
