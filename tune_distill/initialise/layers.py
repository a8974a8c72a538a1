"""Which of the teacher's blocks a student's blocks start from; both are numbered from 1.

    uniform   t(k) = round(k L_T / L_S), halves upwards: 12 -> 5 is 2, 5, 7, 10, 12
    first     t(k) = k
    last      t(k) = L_T - L_S + k

`uniform` always ends on the teacher's last block, whatever divides what, and takes none twice.
"""

from __future__ import annotations

from typing import Literal


def sources(
    which: Literal["uniform", "first", "last"], student: int, teacher: int
) -> tuple[int, ...]:
    """The teacher's block for each of the student's.

    Args:
        which: the rule.
        student: its number of blocks, at most the teacher's.
        teacher: its number of blocks.
    """
    targets = range(1, student + 1)
    if which == "first":
        return tuple(targets)
    if which == "last":
        return tuple(teacher - student + k for k in targets)
    return tuple((2 * k * teacher + student) // (2 * student) for k in targets)
