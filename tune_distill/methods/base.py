"""The contract of a distillation method, and the shapes that it is checked against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from tune_distill.signals import Needs, Signals

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["single_label", "multi_label", "regression"]


@dataclass(frozen=True)
class ModelShape:
    """What a method may ask of a model's architecture."""

    layers: int
    hidden_size: int
    heads: int


@dataclass(frozen=True)
class TaskShape:
    """What a method may ask of a task."""

    classes: int  # outputs of the head: 1 for a regression
    kind: Kind = "single_label"


class Batchwise(Protocol):
    """What a loss reads of a batch."""

    @property
    def labels(self) -> Tensor:
        """Of the task's kind; see `losses.hard`."""


@dataclass(frozen=True)
class Phase:
    """A stretch of the training, with a loss of its own."""

    method: Method  # whose `needs` and `loss` hold in it
    share: float = 1.0  # of the updates
    rate: float = 1.0  # multiplies the learning rate
    warmup: float | None = None  # share of the phase's updates; None: as the training says
    decay: bool = True  # the learning rate falls to nothing by the end of the phase


@dataclass(frozen=True)
class Method:
    """Base of the methods; the fields of a subclass are its knobs, searchable by name."""

    name: ClassVar[str]
    needs_teacher: ClassVar[bool] = True
    answering: ClassVar[bool] = True  # whether `loss` reads the student's logits
    watched: ClassVar[tuple[str, ...]] = ()  # of what `loss` returns, what is no term of the loss

    def check(self, teacher: ModelShape, student: ModelShape, task: TaskShape) -> list[str]:
        """The reasons why this method cannot run here; empty if it can."""
        return []

    def needs(self, teacher: ModelShape, student: ModelShape) -> tuple[Needs, Needs]:
        """The signals asked of the teacher and of the student."""
        return Needs(logits=self.needs_teacher), Needs(logits=True)

    def heads(self, teacher: ModelShape, student: ModelShape) -> nn.Module | None:
        """Modules that only training has (projections, gates): never counted, never exported.

        A module's `learning_rate_ratio`, if it has one, multiplies the learning rate of all below.
        """
        return None

    def phases(self) -> tuple[Phase, ...]:
        """The stretches of the training; their shares sum to 1."""
        return (Phase(self),)

    def loss(
        self, student: Signals, teacher: Signals | None, batch: Batchwise, heads: nn.Module | None
    ) -> dict[str, Tensor]:
        """Each term by name, unweighted, and their weighted sum as `total`."""
        raise NotImplementedError

    def answered(self, student: Signals, teacher: Signals | None, batch: Batchwise) -> Tensor:
        """The part of the loss that reads logits alone, weighted; of a method that is answering."""
        raise NotImplementedError

    def broken(self, losses: Mapping[str, float]) -> str:
        """Why training is pointless from here on, by an epoch's means; nothing if it is not."""
        return ""
