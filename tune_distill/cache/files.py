"""One signal as a file with a manifest: written whole or not at all, and verified.

The manifest names its file, and the file its checksum, so that two processes that compute the same
signal (with other last bits, maybe) can't mix theirs up: a manifest always tells of one file.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tune_distill.cache.sizes import Layout
from tune_distill.files import write_atomically

FORMAT = 2


class Writer:
    """Appends a signal's values under a temporary name; `finish` makes them the signal."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self._path = folder / f".{layout.name}.{uuid.uuid4().hex}.part"
        self._file = self._path.open("wb")
        self._hash = hashlib.sha256()
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def append(self, values: NDArray[Any]) -> None:
        """Adds the next rows."""
        data = np.ascontiguousarray(values, dtype=self.layout.numpy).reshape(-1).view(np.uint8).data
        self._file.write(data)
        self._hash.update(data)
        self._bytes += len(data)

    def finish(self) -> None:
        """Puts the values in their place, then the manifest."""
        if self._bytes != self.layout.bytes:
            raise ValueError(
                f"{self.layout.name}: {self._bytes:,} bytes were computed, its layout has "
                f"{self.layout.bytes:,}: this teacher's shape isn't what its config says"
            )
        self._file.flush()
        os.fsync(self._file.fileno())
        checksum = self._hash.hexdigest()
        name = f"{self.layout.name}.{checksum[:16]}.bin"
        self._path.replace(self.folder / name)
        manifest = {"format": FORMAT, **asdict(self.layout), "file": name, "sha256": checksum}
        write_atomically(self.folder / f"{self.layout.name}.json", json.dumps(manifest, indent=1))


def read_manifest(folder: Path, name: str) -> dict[str, Any] | None:
    """A signal's manifest; None if there is none.

    Raises:
        ValueError: it is not one.
    """
    try:
        found = json.loads((folder / f"{name}.json").read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{name}.json can't be read: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or found.get("name") != name:
        raise ValueError(f"{name}.json is no manifest of {name} in format {FORMAT}")
    return found


def open_values(folder: Path, name: str) -> NDArray[Any]:
    """A signal's values, memory-mapped and read-only: (rows, width).

    Raises:
        ValueError: the manifest or the size of the file is not as it was written.
    """
    manifest = read_manifest(folder, name)
    if manifest is None:
        raise ValueError(f"{name} is not there")
    try:
        layout = Layout(*(manifest[key] for key in ("name", "rows", "width", "dtype")))
        path = folder / manifest["file"]
        size, expected = path.stat().st_size, layout.bytes
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"{name}.json does not describe a file: {error!r}") from error
    if size != expected:
        raise ValueError(f"{path.name} has {size:,} bytes instead of {expected:,}")
    if size == 0:
        return np.empty((layout.rows, layout.width), layout.numpy)
    values = np.memmap(path, layout.numpy, mode="r", shape=(layout.rows, layout.width))
    return values.view(np.ndarray)  # a memmap's own indexing costs more than what it reads


def damage(folder: Path, layout: Layout) -> str:
    """What is wrong with a signal that has a manifest, read to its last byte; or nothing."""
    try:
        manifest = read_manifest(folder, layout.name) or {}
        if any(manifest.get(key) != value for key, value in asdict(layout).items()):
            return "its manifest describes another shape"
        open_values(folder, layout.name)
        with (folder / manifest["file"]).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        return str(error)
    return "" if found == manifest.get("sha256") else "its checksum is not the recorded one"
