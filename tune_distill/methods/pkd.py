"""Patient distillation: Sun, Cheng, Gan, Liu, "Patient Knowledge Distillation for BERT", 2019.

L = (1 - alpha) * hard + alpha * soft(T) + beta * patience
patience = mean over k < L_S, batch and width of (norm(cls_S[k]) - norm(cls_T[t(k)]))^2

arXiv 1908.09355, and intersun/PKD-for-BERT-Model-Compression. cls[k] is the state of the first
token after block k; the student's last block is left out, as published. `uniform` is PKD-Skip,
`last` PKD-Last. The paper sums over the width and the code takes the mean, as here: hence a beta
of 10 to 1000. Where the widths differ, a train-only projection comes before the norm (ours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge
from pydantic import Field

from tune_distill import layers
from tune_distill.methods import features
from tune_distill.methods.answers import Answers
from tune_distill.methods.base import ModelShape, TaskShape
from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class PKD(Answers):
    """The first token's states of several layers, beside the answers."""

    name: ClassVar[str] = "pkd"

    beta: Annotated[float, Ge(0)] = 100.0  # weight of the patience
    normalise: bool = True  # states of length 1, as in the paper's formula
    layer_map: Annotated[str, Field(pattern=layers.PATTERN)] = "uniform"

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """Refuses a student without a layer to spare, and a map that doesn't fit."""
        if student.layers < 2:
            return ["pkd leaves the student's last layer out: it needs at least 2 layers"]
        reason = layers.misfit(self.layer_map, student.layers, teacher.layers, student.layers - 1)
        return [f"pkd: {reason}"] if reason else []

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The logits, and the first token's states."""
        own = tuple(range(1, student.layers))
        given = layers.mapping(self.layer_map, student.layers, teacher.layers, len(own))
        return Needs(logits=True, cls=given), Needs(logits=True, cls=own)

    def heads(self, teacher: ModelShape, student: ModelShape) -> nn.Module | None:
        """A projection where the widths differ."""
        from tune_distill.methods.heads import projection

        return projection(teacher, student)

    def inside(
        self, student: Signals, teacher: Signals, heads: nn.Module | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The patience."""
        import torch

        from tune_distill.methods.heads import widened

        own = torch.stack([widened(student.cls[k], heads) for k in sorted(student.cls)], dim=1)
        given = torch.stack([teacher.cls[t].float() for t in sorted(teacher.cls)], dim=1)
        if self.normalise:
            own, given = features.unit(own), features.unit(given)
        where = features.aligned(student, teacher)[:, None].expand(own.shape[:2])
        return {"patience": (self.beta, features.mse(own, given, where))}
