"""What a study's defences need made before its first trial: hardened teachers, adversarial rows.

Each is trained, or attacked for, once, for every value that a trial may draw of its knobs. So these
knobs are values or short lists; a range has no end of values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, cast

from tune_distill.hardening import HARDENINGS, Augment, Hardening
from tune_distill.space import Distribution, Scalar, Uniform
from tune_distill.spec.knobs import Frozen
from tune_distill.spec.space import every, nodes

MOST = 8  # of one defence
TEACHER = "teacher"  # the stage
APART = ("stage", "share")  # they say when, not how
Knobs = Mapping[str, Distribution]


def teachers(robust: Frozen) -> tuple[Hardening, ...]:
    """The defences, with their knobs, that the study's teacher is hardened by."""
    return tuple(
        dict.fromkeys(
            _made(name, knobs).in_teacher()
            for name, values in _options(robust)
            for knobs in _drawn(values, _of_teacher(values))
        )
    )


def augments(robust: Frozen) -> tuple[Augment, ...]:
    """The sets of adversarial rows, each as the first defence that has a use for it."""
    found: dict[tuple[Scalar, ...], Augment] = {}
    for name, values in _options(robust):
        if name == Augment.name:
            for knobs in _drawn(values, Augment.beforehand):
                found.setdefault(tuple(knobs.values()), cast("Augment", _made(name, knobs)))
    return tuple(found.values())


def unprepared(robust: Frozen) -> list[str]:
    """The knobs of a study whose values are too many to be prepared, a line each."""
    wrong = []
    for name, values in _options(robust):
        hardened = _of_teacher(values)
        what = "a teacher of its own is trained" if hardened else "rows of train are attacked"
        knobs = hardened or HARDENINGS[name].beforehand
        other = f"; or take {TEACHER} out of its stages" * bool(hardened)
        ranges = [knob for knob in knobs if isinstance(values[knob], Uniform)]
        for knob in ranges:
            low, high = (f"{end:g}" for end in values[knob].ends())
            wrong.append(
                f"robust.{name}.{knob}: a range, and for each of its values {what} before the "
                f"first trial; one value works, or a short list, such as [{low}, {high}]{other}"
            )
        count = 0 if ranges else len(list(_drawn(values, knobs)))
        if count > MOST:
            wrong.append(
                f"robust.{name}: {count} combinations of {', '.join(knobs)}, and for each of them "
                f"{what} before the first trial; at most {MOST} work: give fewer values{other}"
            )
    return wrong


def _made(name: str, knobs: Mapping[str, Any]) -> Hardening:
    return HARDENINGS[name](**knobs)


def _options(robust: Frozen) -> Iterator[tuple[str, Knobs]]:
    for name, knobs in nodes(robust).items():
        if knobs is not None and name in HARDENINGS:
            yield name, nodes(knobs)


def _of_teacher(values: Knobs) -> tuple[str, ...]:
    """The knobs that tell hardened teachers apart; none where no teacher is hardened."""
    hardened = TEACHER in every(values["stage"])
    return tuple(knob for knob in values if knob not in APART) if hardened else ()


def _drawn(values: Knobs, knobs: tuple[str, ...]) -> Iterator[dict[str, Scalar]]:
    """Each combination of these knobs' values; none of no knobs."""
    if knobs:
        for drawn in product(*(every(values[knob]) for knob in knobs)):
            yield dict(zip(knobs, drawn, strict=True))
