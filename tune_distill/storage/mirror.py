"""A bucket's copy on this machine's disk, where files are memory-mapped, appended to and renamed.

    $TUNE_DISTILL_MIRROR, or else $XDG_CACHE_HOME or ~/.cache, and there tune-distill/mirrors
      s3/BUCKET/PATH/...     as in the bucket; the bucket is the truth, a mirror may be deleted

A file travels as one object. A folder (or a large file) that is of use only as a whole travels with
its manifest (`manifest.py`), uploaded after its files, and is taken from the bucket only where all
agree, so that a torn upload never counts as whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from tune_distill.files import whole, write_atomically
from tune_distill.storage import manifest as manifests
from tune_distill.storage.bucket import Bucket, Stat
from tune_distill.storage.manifest import Manifest

ROOT = "TUNE_DISTILL_MIRROR"
_AT_ONCE = 8  # transfers
T = TypeVar("T")
R = TypeVar("R")
Wanted = Callable[[str, Container[str]], bool]  # a file, by its name and all that are there


def mirrors() -> Path:
    """The folder of all mirrors of this machine."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get(ROOT) or cache / "tune-distill" / "mirrors").resolve()


class Mirror:
    """Between a bucket and its copy here. Pickled by its URL: elsewhere it is the copy there.

    Every method raises StorageError where the bucket doesn't answer.
    """

    def __init__(self, url: str) -> None:
        self.url, self.bucket = url, Bucket(url)
        self._same: dict[Path, tuple[int, int]] = {}  # size and time of what is as in the bucket

    def __reduce__(self) -> tuple[type[Mirror], tuple[str]]:
        return Mirror, (self.url,)

    @cached_property
    def root(self) -> Path:
        """Where the copy is."""
        parts = urlsplit(self.url)
        store = f"-{hashlib.sha256(parts.query.encode()).hexdigest()[:8]}" if parts.query else ""
        return mirrors() / f"{parts.scheme}{store}" / f"{parts.netloc}{parts.path}".strip("/")

    def name(self, path: Path) -> str:
        """A path of the copy as the object's name."""
        return path.relative_to(self.root).as_posix()

    def pull(self, folder: Path, wanted: Wanted) -> None:
        """Makes the wanted files of a folder what they are in the bucket; others of them go."""
        there = self.bucket.names(self.name(folder))
        for file in [f for f in folder.rglob("*") if f.is_file()]:
            name = file.relative_to(folder).as_posix()
            if name not in there and wanted(name, there):
                file.unlink(missing_ok=True)
        asked = [(folder / name, stat) for name, stat in there.items() if wanted(name, there)]
        _each(lambda one: self._pull(*one), asked)

    def pull_file(self, file: Path) -> bool:
        """Makes a small file what it is in the bucket; False, and it goes, where it isn't there."""
        content = self.bucket.read(self.name(file))
        if content is None:
            file.unlink(missing_ok=True)
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
        self._same[file] = _state(file)
        return True

    def push(self, files: Iterable[Path]) -> None:
        """Uploads those files that have changed, in the order in which they were written."""
        states = []
        for file in files:
            try:
                states.append((_state(file), file))
            except FileNotFoundError:
                continue
        for state, file in sorted(states, key=lambda one: one[0][1]):
            if self._same.get(file) == state:
                continue
            try:
                self.push_file(file)
            except FileNotFoundError:  # it went meanwhile
                continue
            self._same[file] = state

    def move(self, old: Path, new: Path, kept: Container[str], last: str) -> None:
        """Gives a folder's objects other names, but for those that are kept; one of them last.

        A store copies each; where that is cut short, `last` is still where it was.
        """

        def move(name: str) -> None:
            self.bucket.copy(f"{self.name(old)}/{name}", f"{self.name(new)}/{name}")
            self.bucket.remove(f"{self.name(old)}/{name}")

        _each(move, [n for n in self.bucket.names(self.name(old)) if n not in kept and n != last])
        move(last)

    def push_whole(self, path: Path) -> str:
        """Uploads a folder or a file with its manifest, if it is another; the manifest's digest."""
        manifest = manifests.of(path)
        text = json.dumps(manifest, indent=0).encode()
        kept = manifests.beside(path)
        if self.bucket.read(self.name(kept)) != text:
            _each(lambda name: self.push_file(path / name), manifest)
            self.bucket.write(self.name(kept), text)
        write_atomically(kept, text)
        return manifests.digest(text)

    def pull_whole(self, path: Path, digest: str | None = None, *, content: bool = True) -> bool:
        """Has a folder or a file of `push_whole` here; one process of this machine brings it.

        Args:
            path: its place.
            digest: of the manifest that is wanted; None is whichever is in the bucket.
            content: whether to bring more than the manifest.

        Returns:
            False where it isn't in the bucket, or not whole: then what was here stays, and the
            manifest goes, so that whoever has or makes it uploads it again.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = manifests.beside(path)
        with _alone(path):
            here = kept.read_bytes() if kept.is_file() else b""
            text = here if manifests.digest(here) == digest else self.bucket.read(self.name(kept))
            if text is None or (digest and manifests.digest(text) != digest):
                return False
            manifest: Manifest = json.loads(text)
            held = here == text and manifests.here(path, manifest)
            if content and not held and not self._bring(path, manifest):
                self._forget(kept, text)
                return False
            write_atomically(kept, text)
            return True

    def known(self, path: Path) -> str:
        """The digest of the manifest of what is in the bucket, or is brought there now."""
        kept = manifests.beside(path)
        return manifests.digest(kept.read_bytes()) if kept.is_file() else self.push_whole(path)

    def _bring(self, path: Path, manifest: Manifest) -> bool:
        """Downloads; True where all files are as the manifest says."""

        def fits(one: tuple[str, tuple[int, str]]) -> bool:
            name, (size, sha) = one
            file = partial / (name or path.name)
            file.parent.mkdir(parents=True, exist_ok=True)
            return self.bucket.download(self.name(path / name), file) and (
                manifests.hashed(file) == (size, sha)
            )

        single = list(manifest) == [""]
        if not manifest:
            path.mkdir(exist_ok=True)
            return True
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
            partial = Path(scratch)
            if not all(_each(fits, manifest.items())):
                return False
            if single:
                (partial / path.name).replace(path)
                return True
            with whole(path) as place:
                for name in manifest:
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    (partial / name).replace(place / name)
        return True

    def _forget(self, kept: Path, text: bytes) -> None:
        if self.bucket.read(self.name(kept)) == text:  # and nobody has uploaded another meanwhile
            self.bucket.remove(self.name(kept))

    def push_file(self, file: Path) -> None:
        """Uploads a file."""
        with file.open("rb") as content:
            self.bucket.write(self.name(file), content)

    def _pull(self, file: Path, there: Stat) -> None:
        if file.is_file() and _state(file) == (there.size, there.mtime_ns):
            self._same[file] = _state(file)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        os.close(handle)
        partial = Path(name)
        try:
            if not self.bucket.download(self.name(file), partial):
                return  # it went meanwhile
            os.utime(partial, ns=(there.mtime_ns, there.mtime_ns))
            partial.chmod(0o644)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        self._same[file] = _state(file)


def _each(do: Callable[[T], R], all_of: Iterable[T]) -> list[R]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(do, all_of))


def _state(file: Path) -> tuple[int, int]:
    told = file.stat()
    return told.st_size, told.st_mtime_ns


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process of this machine brings the same."""
    with path.with_name(f".{path.name}.bringing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
