"""A task on disk, tokenised once: what every trial opens, by folder alone.

    manifest.json                    what it is, and the sha256 of each other file; written last
    {train,search,heldout}.tokens.npy  .types.npy  .offsets.npy  .labels.npy    memory-mapped
    {train,search,heldout}.texts.json                                            [[text, ...], ...]
    and the same of further held-out splits (heldout_mismatched, ...)

The folder's name is a hash of the rows, the metrics, the tokenizer and max_length. It is filled
under another name and then renamed: a folder of this name is whole. Arrays are checked against
their sha256 on opening, texts on reading; what is damaged is never used, but built anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_distill.errors import DataError
from tune_distill.methods.base import Kind
from tune_distill.tasks.encoded import Encoded, check_tokenizer, encode
from tune_distill.tasks.rows import DataWarning, Rows, Task, kind_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tune_distill.spec import TaskSpec

FORMAT = 1
_MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False)
class Prepared:
    """A tokenised task in its folder.

    digest: of the rows (as `Task.digest`); key: of the rows, metrics, tokenizer and max_length
    more, further_metrics: as in `Task`
    """

    folder: Path
    key: str
    name: str
    train: Encoded
    search: Encoded
    heldout: Encoded
    label_names: tuple[str, ...]
    metric: str
    digest: str
    tokenizer_digest: str
    max_length: int
    notes: tuple[str, ...]
    checksums: dict[str, str]
    more: Mapping[str, Encoded] = field(default_factory=dict)
    further_metrics: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> Kind:
        """What is predicted."""
        return kind_of(self.train.labels, self.label_names)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The objective's, and those that are reported beside it for held-out rows."""
        return (self.metric, *self.further_metrics)

    def splits(self) -> dict[str, Encoded]:
        """Return all splits by name."""
        own = {"train": self.train, "search": self.search, "heldout": self.heldout}
        return own | dict(self.more)

    def rows(self, split: str) -> Rows:
        """Return a split's texts and labels (train, search, heldout ...), read from disk."""
        name = f"{split}.texts.json"
        content = _checked(self.folder / name, self.checksums[name])
        return Rows(tuple(json.loads(content)), np.array(self.splits()[split].labels))


def prepare(
    spec: TaskSpec,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    task: Task | None = None,
) -> Prepared:
    """Load, split and tokenise a task into a folder of its own under `folder`, or open it there.

    task: the loaded task, where the caller has it already
    """
    from tune_distill.tasks.source import load

    check_tokenizer(tokenizer, spec.max_length)
    task = task or load(spec)
    identity = {
        "format": FORMAT,
        "name": task.name,
        "digest": task.digest,
        "metric": task.metric,
        "further_metrics": task.further_metrics,
        "more": list(task.more),
        "tokenizer_digest": tokenizer_digest(tokenizer),
        "max_length": spec.max_length,
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    final = folder / f"{task.name.replace('/', '-')}-{key[:16]}"
    if final.exists():
        try:
            return open_prepared(final)
        except DataError as damage:
            warnings.warn(f"{damage}; building it anew", DataWarning, stacklevel=2)
    partial = folder / f".{final.name}.{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        _write(partial, task, tokenizer, {**identity, "key": key})
        _publish(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_prepared(final)


def open_prepared(folder: Path) -> Prepared:
    """Open a prepared task; its arrays are memory-mapped and read-only.

    Raises:
        DataError: there is none, or it is damaged
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise DataError(f"{folder}: prepared in format {manifest['format']}, not {FORMAT}")
        checksums = manifest["checksums"]
        splits = {s: _open_split(folder, s, manifest) for s in ("train", "search", "heldout")}
        more = {split: _open_split(folder, split, manifest) for split in manifest["more"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: no whole prepared task: {error!r}") from error
    return Prepared(
        folder,
        manifest["key"],
        manifest["name"],
        **splits,
        label_names=tuple(manifest["label_names"]),
        metric=manifest["metric"],
        digest=manifest["digest"],
        tokenizer_digest=manifest["tokenizer_digest"],
        max_length=manifest["max_length"],
        notes=tuple(manifest["notes"]),
        checksums=checksums,
        more=more,
        further_metrics=tuple(manifest["further_metrics"]),
    )


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return sha256 over what a tokenizer does to texts, wherever it was loaded from."""
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    # Set by calls, not by the tokenizer's own files.
    content.pop("truncation", None)
    content.pop("padding", None)
    content["inputs"] = tokenizer.model_input_names
    content["pad"] = tokenizer.pad_token_id
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write(
    folder: Path, task: Task, tokenizer: PreTrainedTokenizerBase, manifest: dict[str, Any]
) -> None:
    checksums = {}
    for split, rows in task.splits().items():
        encoded = encode(rows, tokenizer, manifest["max_length"])
        for part in ("tokens", "types", "offsets", "labels"):
            values = getattr(encoded, part)
            if values is not None:
                np.save(folder / f"{split}.{part}.npy", values, allow_pickle=False)
        (folder / f"{split}.texts.json").write_text(json.dumps(rows.texts), encoding="utf-8")
    for path in sorted(folder.iterdir()):
        checksums[path.name] = _sha256(path)
    manifest |= {
        "label_names": task.label_names,
        "notes": task.notes,
        "pad_id": tokenizer.pad_token_id,
        "checksums": checksums,
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _publish(partial: Path, final: Path) -> None:
    """Rename the finished folder; one that another process finished first is as good."""
    try:
        partial.rename(final)
    except OSError:
        try:
            open_prepared(final)
        except DataError:
            damaged = partial.with_suffix(".damaged")
            final.rename(damaged)
            partial.rename(final)
            shutil.rmtree(damaged)


def _open_split(folder: Path, split: str, manifest: dict[str, Any]) -> Encoded:
    def array(part: str) -> Any:  # noqa: ANN401 - any array
        path = folder / f"{split}.{part}.npy"
        _checked(path, manifest["checksums"][path.name])
        return np.load(path, mmap_mode="r", allow_pickle=False)

    typed = f"{split}.types.npy" in manifest["checksums"]
    return Encoded(
        array("tokens"),
        array("types") if typed else None,
        array("offsets"),
        array("labels"),
        manifest["pad_id"],
    )


def _checked(path: Path, expected: str) -> bytes:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise DataError(f"{path}: damaged; its content is not what was written")
    return content


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
