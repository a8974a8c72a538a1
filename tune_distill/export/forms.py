"""The forms of an exported student: its files, and what holds each against the trained one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tune_distill import teacher
from tune_distill.errors import ExportMismatch
from tune_distill.export import onnx
from tune_distill.export.bench import Student
from tune_distill.export.served import Served
from tune_distill.trial import reference_error

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-5  # of a logit, on the same library and machine


@dataclass(frozen=True)
class Wanted:
    """The forms beside PyTorch's."""

    onnx: bool = False  # float32
    int8: bool = False  # made from it


def make(folder: Path, trained: Path, wanted: Wanted, attacked: Path) -> Student:
    """Checks a copied student, and writes its other forms beside it.

    Args:
        folder: of the copy; `onnx/` comes in there.
        trained: the trial's student, with the rows that it kept for this.
        wanted: the forms.
        attacked: what became of the trial's attacked rows.

    Raises:
        ExportMismatch: a form doesn't answer as the trained student did.
    """
    reference = trained / "reference.safetensors"
    error = reference_error(folder, reference)
    if not error <= TOLERANCE:
        raise ExportMismatch(
            f"the exported model's logits differ from the trained student's by {error:.1e} "
            f"(allowed {TOLERANCE:.0e}); nothing was written"
        )
    model, tokenizer = teacher.load(folder), teacher.load_tokenizer(folder)
    files, errors = {"pytorch": folder / "model.safetensors"}, {"pytorch": error}
    if wanted.onnx or wanted.int8:
        inputs = load_file(reference)
        del inputs["logits"]
        files["onnx"] = folder / onnx.FLOAT
        onnx.write_onnx(model, inputs, files["onnx"])
        errors["onnx"] = onnx.verify(Served(files["onnx"], model), model, inputs)
    if wanted.int8:
        files["int8"] = folder / onnx.INT8
        onnx.quantise(files["onnx"], files["int8"])
        _answers(Served(files["int8"], model), inputs)
    return Student(model, tokenizer, files, errors, attacked)


def _answers(int8: Served, inputs: Mapping[str, Tensor]) -> None:
    """Raises ExportMismatch where int8 gives no numbers; how good they are is measured."""
    with torch.inference_mode():
        logits = int8(**inputs).logits
    if not torch.isfinite(logits).all():
        raise ExportMismatch("the int8 model's logits are not finite; nothing was written")
