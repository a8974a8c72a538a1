"""Random typing errors, fresh for each update: a swap, a substitution, a deletion, an insertion.

The edits are DeepWordBug's (Gao et al. 2018), drawn at random and not to do harm. Ivgi and Berant,
"Achieving Model Robustness through Discrete Adversarial Training" (2021, arXiv 2104.05062), found
fresh random perturbations better than a set made once, and an order of magnitude cheaper than
searching in the loop. The loss is in `rewording.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from tune_distill.hardening.rewording import Rewording


@dataclass(frozen=True)
class RandomChar(Rewording):
    """Typing errors."""

    name: ClassVar[str] = "random_char"
    source: ClassVar[Literal["char", "table"]] = "char"
