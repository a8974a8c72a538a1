"""A student copied into its export: held against the trained one, its further forms beside it."""

from __future__ import annotations

from pathlib import Path

from tune_distill import teacher
from tune_distill.errors import ExportMismatch
from tune_distill.export.bench import Student
from tune_distill.forms import Wanted, convert
from tune_distill.forms.convert import REFERENCE
from tune_distill.trial import reference_error

TOLERANCE = 1e-5  # of a logit, on the same library and machine


def checked(folder: Path, trained: Path, wanted: Wanted, attacked: Path) -> Student:
    """Checks a copied student, and writes its other forms beside it.

    Args:
        folder: of the copy; `onnx/` comes in there.
        trained: the trial's student, with the rows that it kept for this.
        wanted: the forms.
        attacked: what became of the trial's attacked rows.

    Raises:
        ExportMismatch: a form doesn't answer as the trained student did.
    """
    reference = trained / REFERENCE
    error = reference_error(folder, reference)
    if not error <= TOLERANCE:
        raise ExportMismatch(
            f"the exported model's logits differ from the trained student's by {error:.1e} "
            f"(allowed {TOLERANCE:.0e}); nothing was written"
        )
    model, tokenizer = teacher.load(folder), teacher.load_tokenizer(folder)
    files, errors = {"pytorch": folder / "model.safetensors"}, {"pytorch": error}
    if wanted.names:
        made = convert(model, reference, folder, int8=wanted.int8)
        files |= {name: one.file for name, one in made.items()}
        errors |= {name: one.error for name, one in made.items() if one.error is not None}
    return Student(model, tokenizer, files, errors, attacked)
