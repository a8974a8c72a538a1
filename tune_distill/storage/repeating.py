"""Something done every few seconds in the background; its error is raised when asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Repeating:
    """Calls `do` every `seconds` while it is open, and no more after an error."""

    def __init__(self, seconds: float, do: Callable[[], object]) -> None:
        self._seconds, self._do = seconds, do
        self._end = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def check(self) -> None:
        """Raises what stopped it, if anything did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self._do()
            except Exception as error:  # raised in `check`, on the thread that can stop
                self._error = error
                return
