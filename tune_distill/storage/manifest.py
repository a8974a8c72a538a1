"""What a folder (or a large file) that is of use only as a whole is made of: its manifest.

NAME/x has NAME/.x.whole beside it: size and SHA-256 of each file in it, by name; where x is a file
itself, that name is empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

Manifest = Mapping[str, tuple[int, str]]  # size and SHA-256, by name


def beside(path: Path) -> Path:
    """Where the manifest of a folder or a file is kept."""
    return path.with_name(f".{path.name}.whole")


def of(path: Path) -> Manifest:
    """The manifest of what is here, by sorted names."""
    return {name: hashed(path / name) for name in sorted(_files(path))}


def hashed(file: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with file.open("rb") as opened:
        return file.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest()


def here(path: Path, manifest: Manifest) -> bool:
    """Whether all files are here in their size; what they hold is checked by who made them."""
    files = [(path / name, size) for name, (size, _) in manifest.items()]
    return all(file.is_file() and file.stat().st_size == size for file, size in files)


def digest(manifest: bytes) -> str:
    """What tells a manifest's text from another."""
    return hashlib.sha256(manifest).hexdigest()


def _files(path: Path) -> Iterator[str]:
    """The names of a folder's files, but for locks and leftovers; of a file, the empty one."""
    if path.is_file():
        yield ""
    for file in path.rglob("[!.]*"):
        if file.is_file():
            yield file.relative_to(path).as_posix()
