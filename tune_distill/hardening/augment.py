"""A frozen set of adversarial texts: found once against the study's teacher, for all trials.

Rows of train are attacked before the first trial; of those that the teacher had right, the text
that flipped it, or the attack's best try. Offline augmentation in its usual form, and the control
for what looks again (`attack`, `random_char`): Ivgi and Berant (2021, arXiv 2104.05062) found a set
made once to help less than fresh perturbations, as did the study that this project answers.

An update costs 1 + ratio passes; the attack on the teacher is paid once, whatever the trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from tune_distill.hardening.adversaries import Adversaries


@dataclass(frozen=True)
class Augment(Adversaries):
    """Texts that fooled the teacher."""

    name: ClassVar[str] = "augment"
    beforehand: ClassVar[tuple[str, ...]] = ("recipe", "queries", "rows")

    rows: Annotated[int, Ge(1)] = 2000  # of train that are attacked: fixed, stratified

    @property
    def passes(self) -> float:
        """The batch, and the rows beside it."""
        return 1 + self.ratio
