"""Truncated softmax: only the teacher's K likeliest classes are distilled.

Barraza, "Transformer Knowledge Distillation" (OpenAI Scholars, 2019), from the author's code:

L = (1 - alpha) * hard + alpha * soft_K(T),    soft_K = T^2 * sum over K of p_k log(p_k / q_k)

    drop         p as it is: what lies outside is lost, and the p_k sum to less than 1 (Barraza)
    renormalise  p_k / sum of the p_k; q over all classes, as in arcee-ai/DistillKit's `zero`
    bucket       classes outside of K are one class, in p and in q: an exact KL, coarser

p and q are softmaxes over all classes at temperature T; Barraza's T is 1 and his classes are the
30,522 word pieces of masked language modelling, where K = 10 makes the teacher's answers cheap to
keep. His cross-entropy differs from soft_K by a constant. Legal only where K is less than the
number of classes: with all of them it is `kd`. His README says that it lowered the accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from tune_distill.methods.answers import Answers
from tune_distill.methods.base import Batchwise, ModelShape, TaskShape
from tune_distill.methods.losses import hard
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor

Tail = Literal["drop", "renormalise", "bucket"]


@dataclass(frozen=True)
class TruncatedKD(Answers):
    """The teacher's likeliest classes beside the labels."""

    name: ClassVar[str] = "truncated_kd"

    classes: Annotated[int, Ge(1)] = 1  # K
    tail: Tail = "drop"  # what becomes of the others

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses what has no classes to leave out."""
        if task.kind != "single_label":
            return [f"truncated_kd ranks classes that exclude one another; this is {task.kind}"]
        if self.classes >= task.classes:
            return [
                f"truncated_kd keeps {self.classes} of the {task.classes} classes: nothing is left "
                "out, which is kd; fewer classes, or kd"
            ]
        return []

    def answers(self, student: Signals, teacher: Signals, batch: Batchwise) -> dict[str, Tensor]:
        """The terms on the logits."""
        logits = student.scores()
        return {
            "hard": hard(logits, batch.labels),
            "soft": truncated(logits, teacher.scores(), self.temperature, self.classes, self.tail),
        }


def truncated(
    student: Tensor, teacher: Tensor, temperature: float, count: int, tail: Tail
) -> Tensor:
    """soft_K, mean over all but the last dimension.

    Args:
        student: logits (..., classes).
        teacher: logits (..., classes).
        temperature: T > 0.
        count: K, less than the classes.
        tail: what becomes of the classes outside.
    """
    import torch

    log_p, kept = (teacher.float() / temperature).log_softmax(dim=-1).topk(count, dim=-1)
    log_all = (student.float() / temperature).log_softmax(dim=-1)
    log_q = log_all.gather(-1, kept)
    if tail == "renormalise":
        log_p = log_p.log_softmax(dim=-1)
    elif tail == "bucket":
        outside = torch.ones_like(log_all, dtype=torch.bool).scatter(-1, kept, value=False)
        rest_p = (teacher.float() / temperature).log_softmax(dim=-1)
        log_p = torch.cat([log_p, _rest(rest_p, outside)], dim=-1)
        log_q = torch.cat([log_q, _rest(log_all, outside)], dim=-1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=-1).mean()


def _rest(logs: Tensor, outside: Tensor) -> Tensor:
    """The log probability of all classes outside together: (..., 1)."""
    return logs.masked_fill(~outside, float("-inf")).logsumexp(dim=-1, keepdim=True)
