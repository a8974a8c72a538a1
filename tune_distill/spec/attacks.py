"""The attacks behind `robust_worst`: the `robustness` section of a study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, field_validator

from tune_distill.spec.knobs import Frozen, PositiveInt
from tune_distill.spec.problems import did_you_mean

ATTACKED = ("robust_worst", "clean_on_attacked")  # measures of the attacks
LOYAL = ("label_loyalty", "probability_loyalty")  # of rows of one class each

# The keys of robustness.ATTACKS, which lies above this layer; a test holds them equal.
ATTACK_NAMES = ("char", "pruthi", "table", "wordnet", "bae", "textbugger")


def _attack(name: str) -> str:
    if name not in ATTACK_NAMES:
        near = did_you_mean(name, ATTACK_NAMES)
        raise ValueError(f"unknown attack; there are {', '.join(ATTACK_NAMES)}{near}")
    return name


class AttackResources(Frozen):
    """What attacks on whole words read."""

    table: str | None = None  # a file of neighbours; None: the built-in corpus has its own
    wordnet: str | None = None  # WordNet's dict folder, or a file of synonyms
    masked_lm: str | None = None  # hub id or folder


class RobustnessSpec(Frozen):
    """The attacks behind `robust_worst`."""

    attacks: tuple[Annotated[str, AfterValidator(_attack)], ...] = ("char",)
    profile: Literal["lax", "strict"] = "lax"  # how far a text may be changed
    order: Literal["gradient", "unk", "delete", "random", "saliency"] | None = None  # of the words
    rows: int | str = 400  # fixed, stratified ones of the search split; or a file's, as they are
    budget: PositiveInt | None = 30  # queries a row; null: as many as it takes
    resources: AttackResources = AttackResources()

    @field_validator("rows")
    @classmethod
    def _some(cls, rows: int | str) -> int | str:
        if not isinstance(rows, str) and rows < 1:
            raise ValueError(f"a number of rows, 1 or more, or a file of rows; got {rows}")
        return rows

    @property
    def static(self) -> str | None:
        """The file of rows that are scored as they are; None where rows are attacked."""
        return self.rows if isinstance(self.rows, str) else None

    @field_validator("attacks")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) < len(names):
            raise ValueError(f"name at least one of {', '.join(ATTACK_NAMES)}, each once")
        return names
