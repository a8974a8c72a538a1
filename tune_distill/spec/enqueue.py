"""Published settings as the first trials of a study: what of them the space can draw.

A setting's method knobs always hold; its training knobs hold where the space searches them and
reaches them: a study that fixes its epochs, for equal budgets, keeps them. What a setting doesn't
say, the student above all, is drawn as usual; a defence is not, where the space has `none`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_distill.methods.published import PUBLISHED
from tune_distill.space import (
    Choice,
    Constant,
    Distribution,
    IntRange,
    Params,
    Scalar,
    Space,
    Uniform,
)
from tune_distill.spec.knobs import PLAIN
from tune_distill.spec.problems import did_you_mean


def unknown(name: str) -> str:
    """Why a name is no published setting; nothing if it is one."""
    if name in PUBLISHED:
        return ""
    return (
        f"unknown setting {name!r}; published are {', '.join(PUBLISHED)}"
        f"{did_you_mean(name, [*PUBLISHED])}"
    )


def setting(name: str, space: Space) -> Params:
    """A published setting as far as a space takes it, by the names of its parameters."""
    kept: Params = {}
    for path, value in PUBLISHED[name].items():
        node = space.at(path)
        searched = isinstance(node, Distribution) and not isinstance(node, Constant)
        if not path.startswith("train.") or (searched and _reaches(node, value)):
            kept[path] = value
    defences = space.options("robust")
    if PLAIN in defences and len(defences) > 1:
        kept["robust"] = PLAIN  # no paper of them defends its student
    return kept


def misfits(names: Sequence[str], space: Space) -> list[str]:
    """What of the settings lies outside of the space, a line each."""
    wrong = []
    for name in names:
        method = str(PUBLISHED[name]["method"])
        if method not in space.options("method"):
            wrong.append(f"{name}: space.method has no {method}")
            continue
        for path, value in setting(name, space).items():
            if not _reaches(space.at(path), value):
                wrong.append(f"{name}: {path} is {value}, which space.{path} doesn't reach")
    return wrong


def _reaches(distribution: object, value: Scalar) -> bool:
    match distribution:
        case Constant():
            return True  # replaced: a setting's own knobs always hold
        case Uniform(low, high):
            return isinstance(value, int | float) and low <= value <= high
        case IntRange(low, high, step):
            return value in range(low, high + 1, step)
        case Choice(values):
            return value in values
        case _:
            return True  # names of methods
