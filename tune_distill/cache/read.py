"""The teacher as a trial sees it: a callable from a batch to its signals, cached or live.

A batch is gathered from the memory-mapped files by its row numbers, in one indexing a signal; what
it reads are a few pages, shared by all trials of a machine. Values at padding are zero.

A student may read other tokens than its teacher (`Alignment`). Row by row the logits and the CLS
vector are still the teacher's; its signals of tokens stand where both read a row in the same
tokens, and the mask is False on all other rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from tune_distill import signals
from tune_distill.cache.files import open_values
from tune_distill.errors import TeacherError
from tune_distill.signals import Needs, Signals, to_float32
from tune_distill.tasks import Batch, Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Teacher = Callable[[Batch, Needs], Signals]


@dataclass(frozen=True, eq=False)
class Alignment:
    """A split in the teacher's tokens, for a student that reads it in others."""

    encoded: Encoded
    same: NDArray[np.bool_]  # (rows,) which rows have the same tokens in both


def source(
    folder: Path | None,
    teacher: Callable[[], PreTrainedModel],
    needs: Needs,
    device: str = "cpu",
    alignment: Alignment | None = None,
) -> Teacher:
    """The teacher's signals for a trial: from the cache if all are there, else from the teacher.

    Args:
        folder: of the signals, as `ensure` gave it; None without a cache.
        teacher: gives the model; asked only if a signal is not cached.
        needs: all that the trial's method asks of the teacher, whatever the phase.
        device: where a live teacher runs.
        alignment: of the student's tokens with the teacher's; None where they are the same.

    Raises:
        TeacherError: a file of the cache is not as it was written.
    """
    if folder is not None and all((folder / f"{name}.json").exists() for name in needs.names()):
        return TeacherSignals(folder, needs, alignment)
    return LiveTeacher(teacher(), device, alignment)


class LiveTeacher:
    """The signals of a teacher that runs at each step, in eval mode and without gradients."""

    def __init__(
        self, model: PreTrainedModel, device: str = "cpu", alignment: Alignment | None = None
    ) -> None:
        self.model = model.to(device).eval()  # type: ignore[arg-type]
        self._alignment = alignment

    def __call__(self, batch: Batch, needs: Needs) -> Signals:
        """These signals of a batch, float32, on its device."""
        if self.model.training:  # whoever shares the model may have trained it since
            self.model.eval()
        own = self._alignment
        read = batch if own is None else own.encoded.batch(batch.rows).to(batch.input_ids.device)
        with torch.no_grad():
            found = signals.run(self.model, read.inputs(), needs)
        if own is None:
            return found
        same = torch.from_numpy(own.same[batch.rows]).to(found.mask.device)
        return _fitted(found, batch.input_ids.shape[1], same)


class TeacherSignals:
    """The signals of a split, from disk; opened by the folder alone."""

    def __init__(self, folder: Path, needs: Needs, alignment: Alignment | None = None) -> None:
        self.folder = folder
        try:
            self._values = {name: open_values(folder, name) for name in needs.names()}
            offsets = open_values(folder, "offsets")[:, 0] if needs.of_tokens else np.empty(0)
        except ValueError as error:
            raise TeacherError(
                f"{folder}: the teacher's signals are not whole: {error}; starting the search "
                "again verifies them and computes what is damaged"
            ) from None
        self._offsets = offsets.astype(np.int64)
        self._rows = len(offsets) - 1 if needs.of_tokens else min(map(len, self._values.values()))
        self._same = None if alignment is None else alignment.same

    def __call__(self, batch: Batch, needs: Needs) -> Signals:
        """These signals of a batch of the split they were computed on, float32, on its device.

        Raises:
            ValueError: the batch is not of that split.
        """
        if batch.rows.max() >= self._rows:
            raise ValueError(f"{self.folder}: the batch's rows are of another split")
        found = Signals(mask=batch.attention_mask.bool())
        if self._same is not None:
            found.mask &= torch.from_numpy(self._same[batch.rows])[:, None].to(found.mask.device)
        if needs.of_tokens:
            place, padding = self._places(batch)
            found.mask = torch.from_numpy(~padding)
        for name in needs.names():
            kind, _, layer = name.partition(".")
            values = self._values[name]
            if kind == "logits":
                found.logits = _tensor(values[batch.rows])
            elif kind == "cls":
                found.cls[int(layer)] = _tensor(values[batch.rows])
            else:
                getattr(found, kind)[int(layer)] = _padded(values, place, padding)
        return to_float32(found, batch.input_ids.device)

    def _places(self, batch: Batch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where in the files a batch's tokens stand, and what of it is padding: (batch, length)."""
        length = batch.input_ids.shape[1]
        starts = self._offsets[batch.rows]
        lengths = self._offsets[batch.rows + 1] - starts
        if self._same is not None:
            lengths = np.where(self._same[batch.rows], lengths, 0)
        if lengths.max() > length or (self._same is None and lengths.max() < length):
            raise ValueError(f"{self.folder}: the batch's rows are of another split or tokenizer")
        within = np.arange(length)
        return starts[:, None] + within, within >= lengths[:, None]


def _padded(values: NDArray[Any], place: NDArray[np.int64], padding: NDArray[np.bool_]) -> Tensor:
    # Padding beyond the last row points past the end: clipped, then zeroed as all padding is.
    gathered = np.take(values, place, axis=0, mode="clip")
    gathered[padding] = 0
    return _tensor(gathered)


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), copy=False))


def _fitted(found: Signals, length: int, same: Tensor) -> Signals:
    """Signals of a batch of other tokens, cut or padded to this length; masked where not the same.

    Args:
        found: of (batch, any length).
        length: of the student's batch.
        same: (batch,) the rows whose tokens are the same.
    """

    def fitted(states: dict[int, Tensor]) -> dict[int, Tensor]:
        return {layer: F.pad(state, (0, 0, 0, missing)) for layer, state in states.items()}

    missing = length - found.mask.shape[1]  # F.pad cuts where this is negative
    return replace(
        found,
        mask=F.pad(found.mask, (0, missing)) & same[:, None],
        hidden=fitted(found.hidden),
        query=fitted(found.query),
        key=fitted(found.key),
        value=fitted(found.value),
    )
