"""A split is made once: MNLI's takes half a minute, and each command on a study asks for it."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tune_distill.files import write_atomically
from tune_distill.tasks.rows import Rows, digest
from tune_distill.tasks.split import Split, split

FORMAT = 1  # of the files; goes up, too, when `split` parts the same rows otherwise


def split_once(rows: Rows, wanted: int | None, seed: int, folder: Path | None) -> Split:
    """`split`, or what it once made of the same rows.

    Args:
        rows: of a training file.
        wanted: search rows, as in `split`.
        seed: as in `split`.
        folder: where splits are kept, made if need be; None keeps none.
    """
    if folder is None:
        return split(rows, wanted, seed)
    asked = f"{FORMAT} {digest([rows], ())} {wanted} {seed}"
    file = folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:16]}.npz"
    made = _read(file)
    if made is None:
        made = split(rows, wanted, seed)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, _packed(made))
    return made


def _read(file: Path) -> Split | None:
    """None where there is none, or none that is whole."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            told: dict[str, Any] = {
                name: values if values.ndim else int(values) for name, values in kept.items()
            }
        return Split(**told)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _packed(made: Split) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **vars(made))
    return packed.getvalue()
