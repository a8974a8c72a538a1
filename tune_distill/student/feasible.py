"""Whether a student can be trained, and started, here: reasons in words, nothing built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tune_distill import families, signals
from tune_distill.layers import misfit
from tune_distill.methods import Method, ModelShape, TaskShape
from tune_distill.spec import StudentSpec
from tune_distill.student.architecture import embedding_size, intermediate, shape

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def infeasible(
    student: StudentSpec,
    teacher: PreTrainedConfig,
    method: Method,
    task: TaskShape,
    *,
    source: PreTrainedConfig | None = None,
) -> list[str]:
    """The reasons why a student can't be trained here; empty if it can. Builds nothing.

    Args:
        student: its knobs.
        teacher: the config of the model that it learns from.
        method: how.
        task: what.
        source: the config of the model that it starts from; None for the teacher.
    """
    reasons = _impossible(student, source or teacher)
    if student.init != "random":
        reasons += unfit(student, source or teacher)
    drawn = ModelShape(student.layers, student.hidden_size, student.heads)
    refused = method.check(shape(teacher), drawn, task)
    if not refused:
        for phase in method.phases():
            given, _ = phase.method.needs(shape(teacher), drawn)
            reasons += [f"{method.name}: {reason}" for reason in signals.lacking(teacher, given)]
    return list(dict.fromkeys(reasons + refused))  # phases need the same


def unfit(student: StudentSpec, teacher: PreTrainedConfig) -> list[str]:
    """The reasons why a student can't start from its teacher's weights; empty if it can.

    A student with a checkpoint starts from that, which `teacher` then is.
    """
    called = "checkpoint" if student.checkpoint else "teacher"
    if reason := _unreadable(teacher):
        return [
            f"a student can't start from the layers of a {teacher.model_type} {called} ({reason}); "
            "student.init: random works"
        ]
    inner = families.inner(teacher) or 0
    sizes = [
        ("layers", student.layers, teacher.num_hidden_layers),
        ("hidden size", student.hidden_size, teacher.hidden_size),
        ("intermediate size", intermediate(student, teacher), inner),
    ]
    if student.family == "albert":
        width = embedding_size(student, teacher)
        sizes.append(("embedding size", width, families.embedding_size(teacher)))
    reasons = [
        f"the student's {what} {asked} exceeds the {called}'s {given}, so it can't start from it; "
        f"at most {given} works, or student.init: random"
        for what, asked, given in sizes
        if asked > given
    ]
    explicit = student.init not in ("uniform", "first", "last")
    if explicit and (reason := misfit(student.init, student.layers, teacher.num_hidden_layers)):
        reasons.append(f"student.init: {reason}")
    return reasons


def _impossible(student: StudentSpec, teacher: PreTrainedConfig) -> list[str]:
    """What forbids an architecture, whatever it starts from."""
    reasons = []
    if student.hidden_size % student.heads:
        reasons.append(
            f"{student.heads} heads don't divide the student's hidden size {student.hidden_size}"
        )
    if student.family != "albert":
        wrong = "a {} student's {}; student.{} is for family: albert alone"
        if student.embedding_size is not None:
            what = "embeddings are as wide as its blocks"
            reasons.append(wrong.format(student.family, what, "embedding_size"))
        if student.groups != 1:
            reasons.append(wrong.format(student.family, "blocks share no weights", "groups"))
    elif student.groups > student.layers:
        reasons.append(f"{student.groups} groups can't share the student's {student.layers} layers")
    if student.family == "roberta" and teacher.pad_token_id is None:
        reasons.append(
            "a roberta student counts positions from the padding's number on, and the teacher's "
            "config names none (pad_token_id)"
        )
    return reasons


def _unreadable(teacher: PreTrainedConfig) -> str:
    if reason := families.unknown(teacher):
        return reason
    if not families.of(teacher).parts:
        return "its attention is relative, and its positions are no table"
    return ""
