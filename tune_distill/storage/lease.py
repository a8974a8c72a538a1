"""One search a study in an object store: an object that its owner renews, and that goes stale.

Pyarrow has no conditional write, so an owner writes, waits and reads back who has won. Two that
write more than that pause apart may both go on, until the first finds the other's name at its next
renewal, and stops. No clocks are compared: an owner is dead when its object has not changed for as
long as another watched it, or at once where the kernel says so (`dead`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tune_distill.errors import StorageError
from tune_distill.lock import Owner, taken
from tune_distill.storage.bucket import Bucket

BEAT = 10.0  # seconds between renewals
STALE = 60.0  # seconds without one, after which an owner counts as dead
PAUSE = 1.0  # seconds between writing and reading back


@dataclass
class Lease:
    """The object.

    bucket, name: where it is
    study: what the user calls the study
    me: who wants to hold it
    """

    bucket: Bucket
    name: str
    study: str
    me: Owner
    beat: int = 0

    def take(self, dead: Owner | None, say: Callable[[str], None]) -> None:
        """Takes it; waits where an earlier owner may be dead.

        Args:
            dead: an owner that is known to be.
            say: hears why it waits.

        Raises:
            TuneDistillError: another search holds it.
        """
        found, first = self._read()
        if first and first != dead:
            say(f"{self.study}: looking for {STALE:.0f} s whether process {first.pid} on "
                f"{first.host}, which runs it since {first.since}, is alive")  # fmt: skip
            end = time.monotonic() + STALE
            while time.monotonic() < end:
                time.sleep(min(1.0, STALE / 10))
                if self._read()[0] != found:
                    raise taken(self.study, self._read()[1])
        self._write()
        time.sleep(PAUSE)
        if self._read()[1] != self.me:
            raise taken(self.study, self._read()[1])

    def renew(self) -> None:
        """Says that its owner lives.

        Raises:
            StorageError: it is another's now.
        """
        first = self._read()[1]
        if first != self.me:
            raise StorageError(str(taken(self.study, first)))
        self._write()

    def release(self) -> None:
        """Lets it go, if it is still ours."""
        if self._read()[1] == self.me:
            self.bucket.remove(self.name)

    def _write(self) -> None:
        self.beat += 1
        text = json.dumps({**asdict(self.me), "beat": self.beat})
        self.bucket.write(self.name, text.encode())

    def _read(self) -> tuple[bytes | None, Owner | None]:
        content = self.bucket.read(self.name)
        return content, _told(content)


def owner(bucket: Bucket, name: str) -> Owner | None:
    """Who holds a lease, or held it when it died."""
    return _told(bucket.read(name))


def _told(content: bytes | None) -> Owner | None:
    try:
        told = json.loads(content or b"null")
        return Owner(told["host"], told["pid"], told["since"])
    except (ValueError, TypeError, KeyError):
        return None
