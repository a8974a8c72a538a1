"""The objects under a URL (s3://, gs://, file:// and what else pyarrow opens), by relative name.

An object is written whole or not at all: that is how object stores are, and for a folder
(`file://`) a file is renamed into its place. There is no rename and no append.
"""

from __future__ import annotations

import io
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tune_distill.errors import SpecError, StorageError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

HOW = (
    "give s3://BUCKET/PATH or gs://BUCKET/PATH; credentials are read from the environment, the "
    "provider's files or the machine's role (AWS_ACCESS_KEY_ID, AWS_PROFILE, "
    "GOOGLE_APPLICATION_CREDENTIALS), the endpoint of another store from AWS_ENDPOINT_URL"
)
_SECRET = re.compile(r"(?i)(key|secret|token|password|sas|sig)[a-z_]*=")
_GS = "retry_limit_seconds=60"  # Google's client goes on trying for a quarter of an hour
_CHUNK = 1 << 24  # bytes


@dataclass(frozen=True)
class Stat:
    """An object as it is listed."""

    size: int
    mtime_ns: int  # by the store's clock


@dataclass(frozen=True)
class Bucket:
    """The objects under a URL; nothing is opened before it is used."""

    url: str

    def check(self) -> None:
        """Makes sure that the bucket is there and may be read.

        Raises:
            SpecError: it can't be, says why and what would work.
        """
        from pyarrow.fs import FileType

        self.refuse_secrets()
        parts = urlsplit(self.url)
        try:
            files, base = _opened(self.url)
            top = base.strip("/").partition("/")[0]
            if parts.scheme == "file":
                Path(base).mkdir(parents=True, exist_ok=True)
            elif not top or files.get_file_info(top).type == FileType.NotFound:
                raise SpecError(
                    f"--storage {self.url}: there is no bucket {top!r}; make it, or {HOW}"
                )
        except _errors() as error:
            raise SpecError(f"--storage {self.url}: {_line(error)}; {HOW}") from None

    def refuse_secrets(self) -> None:
        """Raises SpecError where the URL has credentials in it."""
        parts = urlsplit(self.url)
        if parts.password or (parts.scheme == "s3" and parts.username) or _SECRET.search(self.url):
            shown = f"{parts.scheme}://{parts.hostname}{parts.path}"
            raise SpecError(
                f"--storage {shown}: has credentials in it, which logs would show; {HOW}"
            )

    def unwritable(self) -> str:
        """Why nothing can be written; nothing where it can."""
        try:
            self.write(".doctor", b"")
            self.remove(".doctor")
        except StorageError as error:
            return str(error)
        return ""

    def read(self, name: str) -> bytes | None:
        """An object's content; None where it is not there."""
        with self._told("read", name) as (files, at):
            try:
                with files.open_input_stream(at) as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def download(self, name: str, file: Path) -> bool:
        """An object's content into a file, not atomically; False where it is not there."""
        with self._told("read", name) as (files, at):
            try:
                with files.open_input_stream(at) as stream, file.open("wb") as out:
                    while chunk := stream.read(_CHUNK):
                        out.write(chunk)
            except FileNotFoundError:
                return False
            return True

    def write(self, name: str, content: bytes | IO[bytes]) -> None:
        """Makes an object of bytes or of an open file, in the place of what has the name."""
        content = io.BytesIO(content) if isinstance(content, bytes) else content
        with self._told("write", name) as (files, at):
            if urlsplit(self.url).scheme != "file":
                _put(files, at, content)
                return
            Path(at).parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=Path(at).parent, prefix=".put.") as scratch:
                partial = Path(scratch) / "object"
                _put(files, str(partial), content)
                partial.replace(at)

    def names(self, under: str) -> dict[str, Stat]:
        """All objects of a folder, by their name relative to it; none where it is not there."""
        from pyarrow.fs import FileSelector, FileType

        with self._told("list", under) as (files, at):
            found = files.get_file_info(FileSelector(at, allow_not_found=True, recursive=True))
            return {
                info.path[len(at) :].strip("/"): Stat(info.size, info.mtime_ns or 0)
                for info in found
                if info.type == FileType.File
            }

    def folders_with(self, file: str) -> list[str]:
        """The folders at the top that have such a file in them."""
        from pyarrow.fs import FileSelector, FileType

        with self._told("list", "") as (files, at):
            found = files.get_file_info(FileSelector(at, allow_not_found=True))
            names = sorted(one.base_name for one in found if one.type == FileType.Directory)
            there = files.get_file_info([f"{at}/{name}/{file}" for name in names])
            return [n for n, one in zip(names, there, strict=True) if one.type == FileType.File]

    def age(self, name: str) -> float:
        """Seconds since an object was written, as far as the store's clock and ours agree."""
        with self._told("read", name) as (files, at):
            return time.time() - (files.get_file_info(at).mtime_ns or 0) / 1e9

    def copy(self, name: str, to: str) -> None:
        """An object under a second name; the store copies it."""
        with self._told("copy", name) as (files, at):
            target = at[: len(at) - len(name)] + to
            if urlsplit(self.url).scheme == "file":
                Path(target).parent.mkdir(parents=True, exist_ok=True)
            files.copy_file(at, target)

    def remove(self, name: str) -> None:
        """An object, or all that are under a name; nothing happens where there is none."""
        from pyarrow.fs import FileType

        with self._told("remove", name) as (files, at):
            kind = files.get_file_info(at).type
            if kind == FileType.File:
                files.delete_file(at)
            elif kind == FileType.Directory:
                files.delete_dir(at)

    @contextmanager
    def _told(self, what: str, name: str) -> Iterator[tuple[FileSystem, str]]:
        try:
            files, base = _opened(self.url)
            yield files, f"{base}/{name}".rstrip("/")
        except _errors() as error:
            raise StorageError(
                f"{self.url}: cannot {what} {name or 'it'}: {_line(error)}"
            ) from None


@lru_cache(maxsize=8)
def _opened(url: str) -> tuple[FileSystem, str]:
    from pyarrow.fs import FileSystem

    more = f"{'&' if '?' in url else '?'}{_GS}" if url.startswith(("gs:", "gcs:")) else ""
    files, base = FileSystem.from_uri(url + more)
    return files, base.rstrip("/")


def _put(files: FileSystem, at: str, content: IO[bytes]) -> None:
    with files.open_output_stream(at) as stream:
        while chunk := content.read(_CHUNK):
            stream.write(chunk)


def _errors() -> tuple[type[Exception], ...]:
    from pyarrow import ArrowException

    return (OSError, ArrowException)


def _line(error: Any) -> str:  # noqa: ANN401 - any exception
    """Its first line: pyarrow's go on with what it tried."""
    return next(iter(str(error).splitlines()), type(error).__name__)
