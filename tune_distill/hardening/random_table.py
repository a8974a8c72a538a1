"""Random neighbours, fresh for each update, of the study's table: `robustness.resources.table`.

As in `random_char` (Ivgi and Berant 2021, arXiv 2104.05062), with the swaps of the `table` attack:
stop words stay as they are. The loss is in `rewording.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from tune_distill.hardening.rewording import Rewording


@dataclass(frozen=True)
class RandomTable(Rewording):
    """Neighbours of words."""

    name: ClassVar[str] = "random_table"
    source: ClassVar[Literal["char", "table"]] = "table"

    rate: Annotated[float, Gt(0), Le(1)] = 0.3  # of the words that can be changed
    neighbours: Annotated[int, Ge(1)] = 8  # the nearest, of which one is drawn
