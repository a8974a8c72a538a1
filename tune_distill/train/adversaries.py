"""The adversarial texts that a run learns from beside its rows: found before it, or as it goes.

A set found beforehand (`augment`) is gone through again and again, in an order of its own each
time. Attacks in the loop (`attack`) come in each epoch of their stage, before its first hardened
update, on as many rows as the rest of the epoch has a use for; what they find is used up by it.
Rows, orders and the attacks themselves hang on the seed, the epoch, the update and the student as
it stands: a run that was interrupted meets the same texts again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.hardening import Adversaries, Augment
from tune_distill.robustness.frozen import Found, attacked, recipe_of
from tune_distill.tasks import Batch, Encoded, Rows, encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tune_distill.train.texts import Texts


@dataclass
class Beside:
    """The adversarial rows of one run, an update at a time."""

    defence: Adversaries
    texts: Texts
    labels: NDArray[np.generic]  # of train's labelled rows
    batch: int  # rows of an update, but for an epoch's last
    seed: int
    device: str
    epoch: int = -1  # of which `found` is
    first: int = 0  # the update that it was found before
    count: int = 0  # of it that an update takes
    found: Found | None = None
    encoded: Encoded | None = None

    def rows(
        self, student: PreTrainedModel, epoch: int, update: int, left: int
    ) -> tuple[Batch, NDArray[np.int64]] | None:
        """Those of an update, and which rows of train they were; None where there are none.

        Args:
            student: as it stands.
            epoch: counted from 0.
            update: of the run, likewise.
            left: updates left in the epoch, this one included.
        """
        if isinstance(self.defence, Augment):
            if self.texts.frozen is None:
                raise DataError(f"{self.defence.name} needs the rows that were found beforehand")
            self._open(self.texts.frozen, round(self.defence.ratio * self.batch))
        elif epoch != self.epoch:
            wanted = round(self.defence.ratio * self.batch * left)
            self._open(self._attacked(student, epoch, wanted), 0)
            self.count = -(-len(self._known.rows) // left)
            self.epoch, self.first = epoch, update
        if not len(self._known.rows) or self.encoded is None:
            return None
        picked = self._picked(update - self.first)
        numbers = self._known.rows[picked]
        return replace(self.encoded.batch(picked).to(self.device), rows=numbers), numbers

    @property
    def _known(self) -> Found:
        if self.found is None:
            raise ValueError("nothing was looked for yet")
        return self.found

    def _open(self, found: Found, count: int) -> None:
        if found is self.found:
            return
        self.found, self.count = found, max(1, count)
        rows = Rows(found.texts, found.labels)
        own = self.texts
        self.encoded = encode(rows, own.tokenizer, own.max_length) if len(rows) else None

    def _picked(self, update: int) -> NDArray[np.int64]:
        """The places of an update's rows: the set in a new order whenever it has been used up."""
        size = len(self._known.rows)
        rounds, places = np.divmod(update * self.count + np.arange(self.count), size)
        orders = {int(n): self._shuffled(size, int(n)) for n in np.unique(rounds)}
        return np.array([orders[int(n)][at] for n, at in zip(rounds, places, strict=True)])

    def _shuffled(self, size: int, number: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, self.epoch + 1, number]).permutation(size)

    def _attacked(self, student: PreTrainedModel, epoch: int, wanted: int) -> Found:
        own, defence = self.texts, self.defence
        if own.resources is None:
            raise DataError(f"{defence.name} needs the resources of its recipe")
        order = np.random.default_rng([self.seed, epoch, len(self.labels)])
        chosen = np.sort(order.permutation(len(self.labels))[: max(1, wanted)])
        return attacked(
            student,
            own.tokenizer,
            Rows(own.columns, self.labels).take(chosen),
            chosen,
            recipe_of(defence, own.profile),
            max_length=own.max_length,
            device=self.device,
            resources=own.resources,
        )
