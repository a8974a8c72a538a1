"""One search a study folder: a lock that the kernel lets go when its owner dies.

`flock` rather than a file that exists: a killed owner leaves nothing to clean up, no clock or
process number has to be trusted, and NFS (v4) carries it between hosts.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tune_distill.errors import TuneDistillError


@dataclass(frozen=True)
class Owner:
    """Who runs a search."""

    host: str
    pid: int
    since: str  # local time, ISO 8601


@contextmanager
def locked(file: Path) -> Iterator[Owner]:
    """Holds a study's lock; yields its owner, this process.

    Raises:
        TuneDistillError: another search holds it.
    """
    with file.open("a+", encoding="utf-8") as handle:
        if not _take(handle):
            raise taken(str(file.parent), _read(handle))
        me = Owner(socket.gethostname(), os.getpid(), time.strftime("%Y-%m-%dT%H:%M:%S%z"))
        handle.truncate(0)
        handle.write(json.dumps(asdict(me)))
        handle.flush()
        try:
            yield me
        finally:
            handle.truncate(0)


def taken(study: str, first: Owner | None) -> TuneDistillError:
    """The refusal of a second search."""
    named = f" (process {first.pid} on {first.host}, since {first.since})" if first else ""
    return TuneDistillError(
        f"{study}: another search runs this study{named}; "
        "wait for it or stop it, or give this one another name"
    )


def owner(file: Path) -> Owner | None:
    """Who runs the study of this lock just now; None when nobody does."""
    try:
        with file.open("r+", encoding="utf-8") as handle:
            return None if _take(handle) else _read(handle)
    except FileNotFoundError:
        return None


def last(file: Path) -> Owner | None:
    """Who holds a lock, or held it when it was killed; None where it was let go."""
    try:
        with file.open(encoding="utf-8") as handle:
            return _read(handle)
    except FileNotFoundError:
        return None


def _take(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(handle: IO[str]) -> Owner | None:
    handle.seek(0)
    try:
        return Owner(**json.load(handle))
    except (ValueError, TypeError):  # between the owner's lock and its name
        return None
