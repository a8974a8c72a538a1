"""A defence at work in a run: when it holds, how far it goes, and what it is given of an update."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor, nn

from tune_distill.hardening import Hardening, Rewording
from tune_distill.signals import Signals
from tune_distill.tasks import Batch
from tune_distill.train.course import Leg
from tune_distill.train.hardened import HardenedUpdate, words_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tune_distill.train.texts import Texts


@dataclass
class Defence:
    """Of one run."""

    hardening: Hardening
    updates: int  # of the whole run
    texts: Texts | None
    seed: int
    device: str
    precision: str
    unit: Tensor | None = None  # the mean length of the student's word embeddings
    epoch: int = 0  # both as `begin` left them

    @cached_property
    def first(self) -> int:
        """The first update that it makes."""
        return self.hardening.start(self.updates)

    def begin(self, student: PreTrainedModel, epoch: int) -> None:
        """At an epoch's start; the unit is measured here, where a stopped run goes on."""
        self.unit = words_of(student).detach().float().norm(dim=1).mean()
        self.epoch = epoch

    def learn(
        self,
        update: int,
        student: PreTrainedModel,
        leg: Leg,
        batch: Batch,
        seen: Signals | None,
        heads: nn.Module | None,
    ) -> dict[str, Tensor]:
        """The gradients of an update of the run, counted from 0; its terms."""
        if self.unit is None:
            raise ValueError("an epoch has to begin before its first update")
        place = (update + 1 - self.first) / (self.updates - self.first)
        unit = self.unit * self.hardening.reach(place)
        given = (student, leg, batch, seen, heads, unit, self._reword, self.device, self.precision)
        return self.hardening.learn(HardenedUpdate(*given))

    def _reword(self, batch: Batch, defence: Rewording) -> Batch:
        if self.texts is None:
            raise ValueError(f"{defence.name} needs the texts of the rows")
        return self.texts.reworded(batch, defence, self.seed, self.epoch)
