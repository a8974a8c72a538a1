"""Which files of a study in an object store belong to whom; the rest stays where it was written."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path

STATE = ("checkpoint", "general")  # folders that an unended trial goes on from
APART = (*STATE, "student")
UNREAD = ("initialise.txt", "error.txt")  # for people, in the bucket
LOCAL = ("tune", "outbox", "artifacts", "lock", "journal.log.lock")  # stay here, as mlflow.db


def owned(name: str) -> bool:
    """Whether the driver keeps what has such a name in a study's folder."""
    return name not in (*LOCAL, "trials", "confirm") and not name.startswith("mlflow.db")


def needed(name: str, there: Container[str]) -> bool:
    """Whether a driver needs a file of a study's folder."""
    first, *rest = name.split("/")
    if any(part.startswith(".") for part in (first, *rest)):
        return False
    if first == "trials":
        return len(rest) > 1 and rest[1] not in (*APART, *UNREAD)
    return owned(first)


def viewed(name: str, there: Container[str]) -> bool:
    """Whether who looks at a study needs a file of it: of trials that have ended, or are gone."""
    if not name.startswith("trials/"):
        return needed(name, there) and not name.startswith("journal.log")
    trial = "/".join(name.split("/")[:2])
    ended, begun = f"{trial}/trial.json" in there, f"{trial}/params.json" in there
    return needed(name, there) and (ended or not begun)


def files(path: Path) -> Iterator[Path]:
    """A file, or those under a folder, but for what is being written."""
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names if not name.startswith("."))
