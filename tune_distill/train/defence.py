"""A defence at work in a run: when it holds, how far it goes, and what it is given of an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_distill.hardening import Adversaries, Hardening, Rewording
from tune_distill.methods import ModelShape
from tune_distill.signals import Needs, Signals
from tune_distill.tasks import Batch, Encoded, Rows
from tune_distill.train.adversaries import Beside
from tune_distill.train.course import Leg
from tune_distill.train.hardened import HardenedUpdate, words_of
from tune_distill.train.optimise import random_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tune_distill.train.texts import Texts

BEFORE = -1  # the epoch whose random numbers are those of what is made before the first


def shown(hardening: Hardening | None, data: Encoded | Rows) -> NDArray[np.int64]:
    """The rows of an epoch: all once; labelled ones more often, where a defence says so."""
    every = np.arange(len(data))
    if hardening is None or not hardening.unlabelled:
        return every
    labelled = len(data.labelled())
    again = hardening.repeats(labelled, len(data)) - 1
    return np.concatenate([every, np.tile(every[:labelled], again)])


def cost_of(hardening: Hardening | None, shown: float = 1.0) -> float:
    """What a training costs, a plain one of as many epochs being 1.

    Args:
        hardening: its defence.
        shown: rows of an epoch over those that there are.
    """
    return shown * (1.0 if hardening is None else hardening.cost)


def modules_of(hardening: Hardening | None, student: ModelShape, seed: int) -> nn.Module | None:
    """The train-only modules of a defence, the same for the same seed."""
    if hardening is None:
        return None
    with random_of(seed, BEFORE, "cpu"):
        return hardening.modules(student)


@dataclass
class Defence:
    """Of one run."""

    hardening: Hardening
    updates: int  # of the whole run
    texts: Texts | None
    seed: int
    device: str
    precision: str
    extra: nn.Module | None = None  # the defence's train-only modules
    data: Encoded | None = None  # that the run trains on
    teacher: Callable[[Batch, Needs], Signals] | None = None
    batch: int = 1  # rows of an update, but for an epoch's last
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
        left: int,
    ) -> dict[str, Tensor]:
        """The gradients of an update of the run, counted from 0; its terms.

        `left` counts the updates of its epoch from this one on.
        """
        if self.unit is None:
            raise ValueError("an epoch has to begin before its first update")
        place = (update + 1 - self.first) / (self.updates - self.first)
        unit = self.unit * self.hardening.reach(place)
        given = (student, leg, batch, seen, heads, unit, self._reword, self.device, self.precision)
        beside = partial(self._beside, update, student, left)
        return self.hardening.learn(HardenedUpdate(*given, self.extra, beside))

    @cached_property
    def _adversaries(self) -> Beside | None:
        if not isinstance(self.hardening, Adversaries) or self.data is None or self.texts is None:
            return None
        labels = self.data.labelled().labels
        return Beside(self.hardening, self.texts, labels, self.batch, self.seed, self.device)

    def _beside(
        self, update: int, student: PreTrainedModel, left: int
    ) -> tuple[Batch, Signals | None] | None:
        """Adversarial rows, and what the teacher says of the clean ones that they were."""
        if self._adversaries is None or self.data is None:
            raise ValueError(f"{self.hardening.name} needs the texts of the rows")
        found = self._adversaries.rows(student, self.epoch, update, left)
        if found is None:
            return None
        rows, numbers = found
        if self.teacher is None:
            return rows, None
        clean = self.data.batch(numbers).to(self.device)
        return rows, self.teacher(clean, Needs(logits=True))

    def _reword(self, batch: Batch, defence: Rewording) -> Batch:
        if self.texts is None:
            raise ValueError(f"{defence.name} needs the texts of the rows")
        return self.texts.reworded(batch, defence, self.seed, self.epoch)
