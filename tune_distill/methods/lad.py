"""LAD: Lin et al., "LAD: Layer-Wise Adaptive Distillation for BERT Model Compression", 2023.

L = (1 - alpha) * hard + alpha * soft(T) + beta * hidden
hidden = mean over k of mse(h_S[k], A[t(k)])

    A[1] = h_T[1]
    g[i] = sigmoid(W[i] A[i-1] + b[i])
    A[i] = LayerNorm[i](g[i] * h_T[i] + (1 - g[i]) * A[i-1])

Sensors 23(3):1483, and IKMLab/LAD. The gates gather all of the teacher's layers on the way up, and
learn by the same loss, at a rate of their own (`gate_ratio` times the student's); the targets are
not detached, so that a gate that learns too fast could make them all alike: their variance, over
that of the states they are made of, is watched, and a trial where it falls to nothing fails.
Ours differs from the code: LayerNorm is over the width, not over (length, width), so that batches
need no fixed length; padding counts nowhere; widths that differ meet in a projection; t(k) rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt

from tune_distill import layers
from tune_distill.methods import features
from tune_distill.methods.answers import Answers
from tune_distill.methods.base import ModelShape, TaskShape
from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn

COLLAPSED = 0.01  # of the variance of the teacher's own states


@dataclass(frozen=True)
class LAD(Answers):
    """Gated sums of all the teacher's layers, beside the answers."""

    name: ClassVar[str] = "lad"
    watched: ClassVar[tuple[str, ...]] = ("target_variance",)

    temperature: Annotated[float, Gt(0)] = 20.0  # T
    beta: Annotated[float, Ge(0)] = 1000.0  # weight of the hidden states
    gate_ratio: Annotated[float, Ge(0)] = 0.01  # learning rate of the gates over the student's

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses a student that is deeper than its teacher."""
        reason = layers.misfit("uniform", student.layers, teacher.layers)
        return [f"lad: {reason}"] if reason else []

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The logits, and the states of all blocks."""
        own, given = (tuple(range(1, one.layers + 1)) for one in (student, teacher))
        return Needs(logits=True, hidden=given), Needs(logits=True, hidden=own)

    def heads(self, teacher: ModelShape, student: ModelShape) -> nn.Module | None:
        """The gates, and a projection where the widths differ."""
        from tune_distill.methods.gates import Gates
        from tune_distill.methods.heads import projection

        modules = projection(teacher, student)
        modules["gates"] = Gates(teacher.layers, teacher.hidden_size, self.gate_ratio)
        return modules

    def inside(
        self, student: Signals, teacher: Signals, heads: nn.Module | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The states against the gathered ones, and how much these still vary."""
        import torch

        from tune_distill.methods.gates import gathered, variance
        from tune_distill.methods.heads import widened

        where = features.real(student, teacher)
        states = [teacher.hidden[i].float() for i in sorted(teacher.hidden)]
        targets = gathered(states, heads)
        given = layers.mapping("uniform", len(student.hidden), len(states))
        terms = [
            features.mse(widened(student.hidden[k], heads), targets[t - 1], where)
            for k, t in zip(sorted(student.hidden), given, strict=True)
        ]
        return {
            "hidden": (self.beta, torch.stack(terms).mean()),
            "target_variance": (0.0, variance(targets[-1], states[-1], where)),
        }

    def broken(self, losses: Mapping[str, float]) -> str:
        """Says so when the targets have become all alike."""
        if losses["target_variance"] >= COLLAPSED:
            return ""
        return (
            f"lad's targets have collapsed: their variance is {losses['target_variance']:.4f} of "
            "the teacher's; a smaller gate_ratio or beta helps"
        )
