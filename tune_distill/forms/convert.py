"""A student in its further forms, each held against the trained one before it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tune_distill.errors import ExportMismatch
from tune_distill.forms import onnx
from tune_distill.forms.served import Served

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

NAMES = {"pytorch": "PyTorch", "onnx": "ONNX", "int8": "ONNX int8"}
REFERENCE = "reference.safetensors"  # in a trained student's folder: rows that it kept for this


@dataclass(frozen=True)
class Wanted:
    """The forms beside PyTorch's."""

    onnx: bool = False  # float32
    int8: bool = False  # made from it

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that are wanted."""
        return ("onnx",) * self.onnx + ("int8",) * self.int8


@dataclass(frozen=True, eq=False)
class Converted:
    """One form of a student."""

    file: Path
    served: Served
    error: float | None = None  # of a logit, from PyTorch's

    @property
    def size_mb(self) -> float:
        """10^6 bytes of the file."""
        return self.file.stat().st_size / 1e6


def convert(
    model: PreTrainedModel, reference: Path, folder: Path, *, int8: bool
) -> dict[str, Converted]:
    """Writes a student as ONNX, and as int8 where it is asked for; the files go to `onnx/`.

    Args:
        model: the student.
        reference: the rows that its trial kept (`REFERENCE`).
        folder: where `onnx/` comes to be.
        int8: whether int8 is made, too.

    Raises:
        ExportMismatch: a form doesn't answer as the student does.
    """
    inputs = load_file(reference)
    del inputs["logits"]
    file = folder / onnx.FLOAT
    onnx.write_onnx(model, inputs, file)
    exact = Served(file, model)
    made = {"onnx": Converted(file, exact, onnx.verify(exact, model, inputs))}
    if int8:
        smaller = folder / onnx.INT8
        onnx.quantise(file, smaller)
        made["int8"] = Converted(smaller, Served(smaller, model, alone=True))
        _answers(made["int8"].served, inputs)
    return made


def _answers(int8: Served, inputs: Mapping[str, Tensor]) -> None:
    """Raises ExportMismatch where int8 gives no numbers; how good they are is measured."""
    with torch.inference_mode():
        logits = int8(**inputs).logits
    if not torch.isfinite(logits).all():
        raise ExportMismatch("the int8 model's logits are not finite; nothing was written")
