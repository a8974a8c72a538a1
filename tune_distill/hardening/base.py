"""The contract of a defence, and of the update that it works on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, Self

from annotated_types import Ge, Gt, Le

from tune_distill.methods import Batchwise, Method, ModelShape, TaskShape
from tune_distill.signals import Signals

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tune_distill.hardening.rewording import Rewording


class Update(Protocol):
    """One update of a training: a batch, the student, and the method's loss in this phase.

    All passes over the batch draw the same dropout masks, so that what differs between two of them
    is the perturbation alone; after each, the random numbers stand where one plain pass leaves
    them. Noise of a defence's own is therefore drawn before its first pass.
    """

    @property
    def batch(self) -> Batchwise:
        """Its labels."""

    @property
    def seen(self) -> Signals | None:
        """The teacher's signals of the clean rows; None for methods that need none."""

    @property
    def unit(self) -> Tensor:
        """The mean length of the student's word embeddings, which perturbations are measured by."""

    @property
    def real(self) -> Tensor:
        """(batch, length, 1), 1.0 at real tokens."""

    @property
    def answering(self) -> bool:
        """Whether this phase's loss reads the student's answers."""

    @property
    def temperature(self) -> float:
        """The method's; 1 where it has none."""

    @property
    def extra(self) -> nn.Module | None:
        """The defence's train-only modules, as of its `modules`."""

    def still(self) -> Tensor:
        """No perturbation: zeros, (batch, length, width of the word embeddings), float32."""

    def forward(self, delta: Tensor | None = None) -> Signals:
        """The student's signals, `delta` added to the word embeddings of real tokens."""

    def reworded(self, defence: Rewording) -> Signals:
        """The student's logits on the rows' texts as a defence changes them."""

    def adversaries(self) -> Update | None:
        """An update on texts that an attack found; None where it found none.

        Its `seen` is what the teacher says of the clean texts.
        """

    def encoded(self) -> tuple[Signals, Tensor]:
        """As `forward`, and what enters the student's head: (batch, width), float32."""

    def head(self, vectors: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """What the head makes of such vectors: what its last layer reads, and the logits."""

    def loss(self, own: Signals) -> dict[str, Tensor]:
        """The terms of the method, `total` among them."""

    def answers(self, own: Signals) -> Tensor:
        """What of the method's loss reads logits alone, weighted; where `answering`."""

    def inside(self, own: Signals) -> dict[str, tuple[float, Tensor]]:
        """The method's terms on the inside of the model, each with its weight."""

    def learn(self, loss: Tensor, only: nn.Module | None = None) -> None:
        """Backward: adds to the gradients of the update; those of one module `only`, if named."""


@dataclass(frozen=True)
class Hardening:
    """Base of the defences; the fields of a subclass are its knobs, searchable by name."""

    name: ClassVar[str]
    unlabelled: ClassVar[bool] = False  # whether it learns from rows without a label, too
    beforehand: ClassVar[tuple[str, ...]] = ()  # knobs whose values are prepared before all trials

    stage: Literal["during", "after", "teacher"] = "during"  # all updates, the last, the teacher's
    share: Annotated[float, Gt(0), Le(1)] = 0.3  # of the updates, the last ones: stage after

    def check(self, method: Method, task: TaskShape) -> list[str]:
        """The reasons why this defence makes no sense here; empty if it does."""
        return []

    @property
    def shown(self) -> str:
        """`fgm (epsilon 0.1, weight 0.5)`: its knobs where they are not the default."""
        told = (
            f"{one.name} {f'{value:g}' if isinstance(value, float) else value}"
            for one in fields(self)
            if (value := getattr(self, one.name)) != one.default
        )
        knobs = ", ".join(told)
        return f"{self.name} ({knobs})" if knobs else self.name

    @property
    def of_teacher(self) -> bool:
        """Whether it hardens the teacher, and leaves the student's training as it is."""
        return self.stage == "teacher"

    def in_teacher(self) -> Self:
        """The same at work in a teacher's training, of which it makes every update."""
        return replace(self, stage="during", share=Hardening.share)

    @property
    def part(self) -> float:
        """The share of a student's updates that it makes: the last ones."""
        return {"during": 1.0, "after": self.share, "teacher": 0.0}[self.stage]

    def start(self, updates: int) -> int:
        """The first hardened update of a run of so many."""
        return round(updates * (1 - self.part))

    def reach(self, place: float) -> float:
        """The length of its perturbations over the full one, at a place in (0, 1] of its stage."""
        return 1.0

    def repeats(self, labelled: int, rows: int) -> int:
        """How often an epoch shows a labelled row, there being so many of so many."""
        return 1

    def modules(self, student: ModelShape) -> nn.Module | None:
        """Train-only modules, random; an `opponent` among them has an optimiser of its own."""
        return None

    @property
    def passes(self) -> float:
        """What a hardened update costs, a plain one's forward and backward pass being 1."""
        raise NotImplementedError

    @property
    def cost(self) -> float:
        """What a student's training with it costs, a plain one being 1."""
        return 1 + self.part * (self.passes - 1)

    def learn(self, update: Update) -> dict[str, Tensor]:
        """Adds up the gradients of one update; each term by name, for the record, and `total`.

        It goes backward itself, pass by pass: only one pass is in memory, and one backward gives
        the gradients of the weights and of the perturbation together.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Pushing(Hardening):
    """Base of those that push the word embeddings; all lengths are over their mean length.

    The papers fine-tune what has been pre-trained. A student that starts from little learns nothing
    when it is pushed from the first update on: hence `rise`, which is ours.
    """

    epsilon: Annotated[float, Gt(0)] = 0.2  # the longest perturbation of a row
    rise: Annotated[float, Ge(0), Le(1)] = 0.5  # share of the stage in which lengths grow from 0

    def reach(self, place: float) -> float:
        """Linear, then 1."""
        return min(1.0, place / self.rise) if self.rise else 1.0
