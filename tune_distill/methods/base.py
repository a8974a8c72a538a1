"""The contract of a distillation method, and the shapes that it is checked against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ModelShape:
    """What a method may ask of a model's architecture."""

    layers: int
    hidden_size: int
    heads: int


@dataclass(frozen=True)
class TaskShape:
    """What a method may ask of a task."""

    classes: int  # 1 for regression
    regression: bool = False


class Batchwise(Protocol):
    """What a loss reads of a batch."""

    @property
    def labels(self) -> Tensor:
        """(batch,)."""


@dataclass(frozen=True)
class Method:
    """Base of the methods; the fields of a subclass are its knobs, searchable by name."""

    name: ClassVar[str]
    needs_teacher: ClassVar[bool] = True

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """The reasons why this method cannot run here; empty if it can."""
        return []

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The signals asked of the teacher and of the student."""
        return Needs(logits=self.needs_teacher), Needs(logits=True)

    def heads(self, teacher: ModelShape, student: ModelShape) -> nn.Module | None:
        """Modules that only training has (projections, gates): never counted, never exported."""
        return None

    def loss(
        self, student: Signals, teacher: Signals | None, batch: Batchwise, heads: nn.Module | None
    ) -> dict[str, Tensor]:
        """Each term by name, unweighted, and their weighted sum as `total`."""
        raise NotImplementedError
