"""The resources of attacks in memory, and the digest that puts them into an attack's identity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tune_distill.errors import DataError
from tune_distill.robustness.attacks import Attack

if TYPE_CHECKING:
    from tune_distill.robustness.masked import MaskedWords
    from tune_distill.robustness.table import Table


@dataclass(frozen=True)
class Opened:
    """What recipes read; None where it was not given."""

    table: Table | None = None
    wordnet: Table | None = None
    masked_lm: MaskedWords | None = None

    def digest(self, recipe: Attack) -> str:
        """Of those that a recipe reads; empty if it reads none.

        Raises:
            DataError: one is missing.
        """
        held = {name: getattr(self, name) for name in recipe.resources}
        if missing := [name for name, one in held.items() if one is None]:
            raise DataError(f"attack {recipe.name!r} needs the resource {', '.join(missing)}")
        return " ".join(f"{name}:{one.digest}" for name, one in held.items())

    def bound(self, recipe: Attack) -> Attack:
        """The recipe with its resources as part of its identity."""
        return replace(recipe, resource=self.digest(recipe))


NONE = Opened()
