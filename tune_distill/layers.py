"""Which of the teacher's blocks a student's blocks answer to; both are numbered from 1.

    uniform   t(k) = round(k L_T / L_S), halves upwards: 12 -> 5 is 2, 5, 7, 10, 12
    first     t(k) = k
    last      t(k) = L_T - L_S + k
    2,4,6     t(1) = 2, t(2) = 4, t(3) = 6

Maps rise: no block is taken twice. `uniform` always ends on the teacher's last, whatever divides
what.
A map says which blocks a student starts from (`student.init`), or which it imitates (`layer_map`
of a method). One that leaves out the student's last block (PKD) has one entry less.
"""

from __future__ import annotations

PATTERN = r"^(uniform|first|last|\d+(,\d+)*)$"  # what names a map, for the models of a study


def mapping(which: str, student: int, teacher: int, count: int | None = None) -> tuple[int, ...]:
    """The teacher's block for each of the student's.

    Args:
        which: a rule, or the blocks themselves, as in `2,4,6`.
        student: its number of blocks, at most the teacher's.
        teacher: its number of blocks.
        count: how many of the student's blocks, from the first, are mapped; None for all. `last`
            then ends as many blocks before the teacher's last.

    Raises:
        ValueError: `misfit` has something to say.
    """
    count = student if count is None else count
    if reason := misfit(which, student, teacher, count):
        raise ValueError(reason)
    targets = range(1, count + 1)
    if which == "first":
        return tuple(targets)
    if which == "last":
        return tuple(teacher - student + k for k in targets)
    if which == "uniform":
        return tuple((2 * k * teacher + student) // (2 * student) for k in targets)
    return tuple(map(int, which.split(",")))


def misfit(which: str, student: int, teacher: int, count: int | None = None) -> str:
    """Why a map can't serve here; nothing if it can. Arguments as of `mapping`."""
    count = student if count is None else count
    if which not in ("uniform", "first", "last"):
        blocks = list(map(int, which.split(",")))
        if len(blocks) != count:
            return f"the layers {which} are {len(blocks)}, and {count} of the student's need one"
        if blocks != sorted(set(blocks)):
            return f"the layers {which} don't rise"
        if blocks[0] < 1 or blocks[-1] > teacher:
            return f"the layers {which} are not all within the teacher's 1 to {teacher}"
    elif student > teacher:
        return f"the student's {student} layers can't be mapped to the teacher's {teacher}"
    return ""
