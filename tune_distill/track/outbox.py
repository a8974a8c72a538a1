"""The outbox on disk: an append-only file of changes, and how far each server has received it.

    outbox/
      study_id              finds the study's runs again, on whichever server
      changes.jsonl         every change ever told, one a line
      sent-<server>.json    the bytes of it that one server has, and the files still to upload
      refused.jsonl         what a server would not take, and why

A line that a crash cut short was told to nobody; it is dropped. The file stays whole when all was
sent, so that another server, or the same one after its store was lost, gets the story from its
beginning.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from tune_distill.errors import DataError
from tune_distill.files import write_atomically
from tune_distill.track.change import Change


class Outbox:
    """The changes of one study; `append` may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.study_id = _study_id(folder / "study_id")
        self._file = folder / "changes.jsonl"
        self._lock = threading.Lock()
        _drop_torn_line(self._file)
        self._handle: io.FileIO | None = None

    def append(self, change: Change) -> None:
        """Adds one change; it is in the operating system's hands when this returns."""
        line = change.to_line().encode() + b"\n"
        with self._lock:
            if self._handle is None:
                self._handle = self._file.open("ab", buffering=0)
            self._handle.write(line)

    def read(self, offset: int = 0, limit: int | None = None) -> Iterator[tuple[Change, int]]:
        """The changes from a byte on, each with the byte behind it."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(offset)
            for line in itertools.islice(file, limit):
                if not line.endswith(b"\n"):
                    return  # being written just now
                offset += len(line)
                yield self._parse(line, offset), offset

    def size(self) -> int:
        """Bytes so far."""
        return self._file.stat().st_size if self._file.exists() else 0

    def close(self) -> None:
        """Flushes to the disk."""
        with self._lock:
            if self._handle is not None:
                os.fsync(self._handle.fileno())
                self._handle.close()
                self._handle = None

    def _parse(self, line: bytes, offset: int) -> Change:
        try:
            return Change.from_line(line.decode())
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{self._file}: damaged before byte {offset} ({error}); delete the folder "
                f"{self.folder} and what ended is told to MLflow again, as new runs"
            ) from None


class Position:
    """How far one server has received an outbox."""

    def __init__(self, folder: Path, server: str) -> None:
        digest = hashlib.sha256(server.encode()).hexdigest()[:12]
        self._file = folder / f"sent-{digest}.json"
        self.server = server
        self.offset = 0
        self.artifacts: dict[str, str] = {}  # of the study's run, still to upload
        if self._file.exists():
            data = json.loads(self._file.read_text(encoding="utf-8"))
            self.offset, self.artifacts = data["offset"], data["artifacts"]

    def save(self) -> None:
        """Keeps it for the next run."""
        data = {"server": self.server, "offset": self.offset, "artifacts": self.artifacts}
        write_atomically(self._file, json.dumps(data, indent=1))


def _study_id(file: Path) -> str:
    if not file.exists():
        write_atomically(file, uuid.uuid4().hex)
    return file.read_text(encoding="utf-8").strip()


def _drop_torn_line(file: Path) -> None:
    if not file.exists():
        return
    with file.open("rb+") as handle:
        data = handle.read()
        handle.truncate(data.rfind(b"\n") + 1)
