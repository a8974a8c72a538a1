"""The teacher as a trial sees it: a callable from a batch to its signals, cached or live.

A batch is gathered from the memory-mapped files by its row numbers, in one indexing a signal; what
it reads are a few pages, shared by all trials of a machine. Values at padding are zero.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tune_distill import signals
from tune_distill.cache.files import open_values
from tune_distill.errors import TeacherError
from tune_distill.signals import Needs, Signals, to_float32
from tune_distill.tasks import Batch
from tune_distill.teacher.loading import load

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Teacher = Callable[[Batch], Signals]


def source(
    folder: Path | None, teacher: Path | PreTrainedModel, needs: Needs, device: str = "cpu"
) -> Teacher:
    """The teacher's signals for a trial: from the cache if all are there, else from the teacher.

    Args:
        folder: of the signals, as `ensure` gave it; None without a cache.
        teacher: its folder, or the loaded model; asked only if a signal is not cached.
        needs: what the trial's method asks of the teacher.
        device: where a live teacher runs.

    Raises:
        TeacherError: a file of the cache is not as it was written.
    """
    if folder is not None and all((folder / f"{name}.json").exists() for name in needs.names()):
        return TeacherSignals(folder, needs)
    model = load(teacher) if isinstance(teacher, Path) else teacher
    return LiveTeacher(model, needs, device)


class LiveTeacher:
    """The signals of a teacher that runs at each step, in eval mode and without gradients."""

    def __init__(self, model: PreTrainedModel, needs: Needs, device: str = "cpu") -> None:
        self.model, self.needs = model.to(device).eval(), needs  # type: ignore[arg-type]

    def __call__(self, batch: Batch) -> Signals:
        """The signals of a batch, float32, on its device."""
        if self.model.training:  # whoever shares the model may have trained it since
            self.model.eval()
        with torch.no_grad():
            return signals.run(self.model, batch.inputs(), self.needs)


class TeacherSignals:
    """The signals of a split, from disk; opened by the folder alone."""

    def __init__(self, folder: Path, needs: Needs) -> None:
        self.folder, self.needs = folder, needs
        try:
            self._offsets = open_values(folder, "offsets")[:, 0].astype(np.int64)
            self._values = {name: open_values(folder, name) for name in needs.names()}
        except ValueError as error:
            raise TeacherError(
                f"{folder}: the teacher's signals are not whole: {error}; starting the search "
                "again verifies them and computes what is damaged"
            ) from None
        self._lengths = np.diff(self._offsets)

    def __call__(self, batch: Batch) -> Signals:
        """The signals of a batch of the split that they were computed on, float32, on its device.

        Raises:
            ValueError: the batch is not of that split.
        """
        length = batch.input_ids.shape[1]
        if batch.rows.max() >= len(self._lengths) or self._lengths[batch.rows].max() != length:
            raise ValueError(f"{self.folder}: the batch's rows are of another split or tokenizer")
        padding = np.arange(length) >= self._lengths[batch.rows][:, None]
        place = self._offsets[batch.rows][:, None] + np.arange(length)
        found = Signals(mask=batch.attention_mask.bool())
        for name, values in self._values.items():
            kind, _, layer = name.partition(".")
            if kind == "logits":
                found.logits = _tensor(values[batch.rows])
            elif kind == "cls":
                found.cls[int(layer)] = _tensor(values[batch.rows])
            else:
                getattr(found, kind)[int(layer)] = _padded(values, place, padding)
        return to_float32(found, batch.input_ids.device)


def _padded(values: NDArray[Any], place: NDArray[np.int64], padding: NDArray[np.bool_]) -> Tensor:
    # Padding beyond the last row points past the end: clipped, then zeroed as all padding is.
    gathered = np.take(values, place, axis=0, mode="clip")
    gathered[padding] = 0
    return _tensor(gathered)


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), copy=False))
