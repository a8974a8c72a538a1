"""Teachers in the cache: folders that are whole or absent, and one process at a time making one."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_distill.errors import TeacherError
from tune_distill.files import whole
from tune_distill.teacher.loading import digest, load, quiet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Say = Callable[[str], None]

RECORD = "teacher.json"  # what the folder was made from, and the digest of the model in it


def keep(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    origin: Mapping[str, Any],
) -> None:
    """Saves a teacher, whole or not at all; whatever stood in the folder's place goes.

    Args:
        model: saved as safetensors.
        tokenizer: saved beside it.
        folder: its final place.
        origin: what it was made from, for the record.
    """
    with whole(folder) as partial:
        with quiet():
            model.save_pretrained(partial)
            tokenizer.save_pretrained(partial)
        record = json.dumps({**origin, "digest": digest(model)}, indent=1)
        (partial / RECORD).write_text(record, encoding="utf-8")


def intact(folder: Path, say: Say) -> bool:
    """Whether a whole teacher is there: one whose tensors still have the recorded digest."""
    if not folder.is_dir():
        return False
    try:
        recorded = record(folder)["digest"]
        whole = bool(digest(load(folder)) == recorded)
    except (OSError, ValueError, KeyError, TeacherError):
        whole = False
    if not whole:
        say(f"the teacher in {folder} is damaged; making it again")
    return whole


def record(folder: Path) -> dict[str, Any]:
    """What `keep` was told of a teacher, and its digest."""
    found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return found


@contextmanager
def alone(path: Path, say: Say) -> Iterator[bool]:
    """Waits until no other process makes `path`; yields whether this one is surely alone.

    The kernel lets the lock go when its process dies. Some network file systems have no locks:
    there the work may be done twice, and renaming whole files keeps that harmless.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"waiting for another process, which is making {path}")
                fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            yield False
        else:
            yield True
