"""What travels to workers with paths in it: for a study in an object store, to another copy of it.

A path of the copy is pickled by its name in the bucket, and is the copy's of the machine that
unpickles it. So the names are also all that has to be brought there first. For a study in a folder
nothing changes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from ray import cloudpickle

from tune_distill.errors import StorageError
from tune_distill.folder import StudyFolder
from tune_distill.spec import StudySpec
from tune_distill.storage import Mirror, StudyInBucket

T = TypeVar("T")
_WORKERS = "cache/signals/"  # memory-mapped by trials; a driver opens none


@dataclass(frozen=True)
class Plain(Generic[T]):
    """Something as it is."""

    value: T

    def opened(self, light: bool = False) -> T:
        """It."""
        return self.value


@dataclass(frozen=True)
class Carried(Generic[T]):
    """Something pickled, and the manifests of the folders and files that it names."""

    mirror: Mirror
    content: bytes
    named: Mapping[str, str]  # digests of the manifests, by name in the bucket

    def opened(self, light: bool = False) -> T:
        """It, with this machine's paths, and what they name here; `light`: for a driver.

        Raises:
            StorageError: something isn't in the bucket as it was put there.
        """
        for name, digest in self.named.items():
            path, content = self.mirror.root / name, not (light and name.startswith(_WORKERS))
            if not self.mirror.pull_whole(path, digest, content=content):
                raise StorageError(
                    f"{self.mirror.url}: {name} is not there as it was uploaded; the same command "
                    "uploads it again"
                )
        made: T = _Unpickler(self.content, self.mirror.root).load()
        return made


def pack(value: T, folder: StudyFolder, lending: StudySpec | None = None) -> Plain[T] | Carried[T]:
    """Something on its way to other processes.

    Args:
        value: can be pickled.
        folder: of the study that it is about.
        lending: the study, where what the value names has just been made for it.
    """
    if not isinstance(folder, StudyInBucket):
        return Plain(value)
    mirror = folder.mirror
    file = io.BytesIO()
    pickler = _Pickler(file, mirror.root)
    pickler.dump(value)  # type: ignore[no-untyped-call]
    if lending is not None:
        folder.lend(lending, [mirror.root / name for name in pickler.names])
    named = {name: mirror.known(mirror.root / name) for name in sorted(pickler.names)}
    return Carried(mirror, file.getvalue(), named)


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, root: Path) -> None:
        super().__init__(file)  # type: ignore[no-untyped-call]
        self._root, self.names = root, set[str]()

    def persistent_id(self, value: Any) -> str | None:  # noqa: ANN401 - pickle's own
        if not isinstance(value, Path) or not value.is_relative_to(self._root):
            return None
        name = value.relative_to(self._root).as_posix()
        self.names.add(name)
        return name


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, root: Path) -> None:
        super().__init__(io.BytesIO(content))
        self._root = root

    def persistent_load(self, name: str) -> Path:
        return self._root / name
