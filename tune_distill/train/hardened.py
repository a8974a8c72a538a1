"""One update as a defence of `hardening` sees it: passes over the batch, perturbed or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tune_distill import signals
from tune_distill.hardening import Rewording
from tune_distill.methods.answers import Answers
from tune_distill.signals import Needs, Signals
from tune_distill.tasks import Batch
from tune_distill.train.course import Leg
from tune_distill.train.head import read
from tune_distill.train.optimise import autocast

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Reword = Callable[[Batch, Rewording], Batch]
Adversarial = Callable[[], tuple[Batch, Signals | None] | None]


@dataclass
class HardenedUpdate:
    """`hardening.Update` on a real student."""

    student: PreTrainedModel
    leg: Leg
    batch: Batch
    seen: Signals | None
    heads: nn.Module | None
    unit: Tensor
    reword: Reword
    device: str
    precision: str
    extra: nn.Module | None = None
    beside: Adversarial = lambda: None
    _state: list[Tensor] = field(default_factory=list)  # of the random numbers, at the first pass

    @cached_property
    def real(self) -> Tensor:
        """(batch, length, 1), 1.0 at real tokens."""
        return self.batch.attention_mask[..., None].float()

    @property
    def answering(self) -> bool:
        """Whether this phase's loss reads the student's answers."""
        return self.leg.phase.method.answering

    @property
    def temperature(self) -> float:
        """The method's; 1 where it has none."""
        return float(getattr(self.leg.phase.method, "temperature", 1.0))

    def still(self) -> Tensor:
        """No perturbation: (batch, length, width of the word embeddings)."""
        width = words_of(self.student).shape[1]
        return torch.zeros(*self.batch.input_ids.shape, width, device=self.device)

    def forward(self, delta: Tensor | None = None) -> Signals:
        """The student's signals, always under the dropout masks of the first pass."""
        self._same_dropout()
        with self._moved(delta), autocast(self.device, self.precision):
            return signals.run(self.student, self.batch.inputs(), self.leg.asked)

    def reworded(self, defence: Rewording) -> Signals:
        """The student's logits on the rows' texts as a defence changes them."""
        other = self.reword(self.batch, defence)
        with autocast(self.device, self.precision):
            return signals.run(self.student, other.inputs(), Needs(logits=True))

    def adversaries(self) -> HardenedUpdate | None:
        """An update on texts that an attack found, of which only logits are asked."""
        found = self.beside()
        if found is None:
            return None
        batch, seen = found
        leg = replace(self.leg, asked=Needs(logits=True))
        return replace(self, leg=leg, batch=batch, seen=seen, _state=[])

    def encoded(self) -> tuple[Signals, Tensor]:
        """As `forward`, and what enters the student's head: (batch, width), float32."""
        self._same_dropout()
        asked, last = self.leg.asked, int(self.student.config.num_hidden_layers)
        with autocast(self.device, self.precision):
            own = signals.run(self.student, self.batch.inputs(), asked | Needs(cls=(last,)))
        entering = own.cls[last] if last in asked.cls else own.cls.pop(last)
        return own, entering.float()

    def head(self, vectors: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """What the head makes of such vectors: what its last layer reads, and the logits."""
        return read(self.student, vectors, dropout)

    def loss(self, own: Signals) -> dict[str, Tensor]:
        """The terms of the method, `total` among them."""
        return self.leg.phase.method.loss(own, self.seen, self.batch, self.heads)

    def answers(self, own: Signals) -> Tensor:
        """What of the method's loss reads logits alone, weighted."""
        return self.leg.phase.method.answered(own, self.seen, self.batch)

    def inside(self, own: Signals) -> dict[str, tuple[float, Tensor]]:
        """The method's terms on the inside of the model, each with its weight."""
        method = self.leg.phase.method
        if not isinstance(method, Answers) or self.seen is None:
            return {}
        return method.inside(own, self.seen, self.heads)

    def learn(self, loss: Tensor, only: nn.Module | None = None) -> None:
        """Backward, into all that the loss hangs on or into one module."""
        inputs = None if only is None else list(only.parameters())
        loss.backward(inputs=inputs)  # type: ignore[no-untyped-call]

    def _same_dropout(self) -> None:
        on_gpu = self.device.startswith("cuda")
        if not self._state:
            now = torch.cuda.get_rng_state(self.device) if on_gpu else torch.get_rng_state()
            self._state.append(now)
        elif on_gpu:
            torch.cuda.set_rng_state(self._state[0], self.device)
        else:
            torch.set_rng_state(self._state[0])

    @contextmanager
    def _moved(self, delta: Tensor | None) -> Iterator[None]:
        """The student with a perturbation added to its word embeddings."""
        if delta is None:
            yield
            return

        def move(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:  # noqa: ANN401 - torch's
            return output + delta * self.real

        handle = self.student.get_input_embeddings().register_forward_hook(move)
        try:
            yield
        finally:
            handle.remove()


def words_of(student: PreTrainedModel) -> Tensor:
    """The table of word embeddings: (words, width)."""
    table = student.get_input_embeddings().weight
    if not isinstance(table, Tensor):
        raise TypeError(f"the embeddings of a {type(student).__name__} are no table")
    return table
