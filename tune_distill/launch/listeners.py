"""Who is told how a search goes: the tracker, the display, whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tune_distill.launch.standing import Standing
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Params


class Listener(Protocol):
    """Hears the events of a search, on the driver, one at a time."""

    def started(self, number: int, params: Params) -> None:
        """A trial was handed out; once in each run of the search that hands it out."""

    def reported(self, number: int, rung: Rung) -> None:
        """A trial reached a rung; the same rung again where it was repeated after a fault."""

    def ended(self, record: TrialRecord) -> None:
        """A trial ended; once."""

    def front(self, standing: Standing) -> None:
        """How the search stands: at its begin, every few seconds while it changes, at its end."""


class Audience:
    """All listeners as one. A listener's fault is said once and never stops the search."""

    def __init__(self, listeners: Sequence[Listener], say: Callable[[str], None]) -> None:
        self._listeners, self._say = listeners, say
        self._faulty: set[tuple[str, str]] = set()

    def started(self, number: int, params: Params) -> None:
        """See `Listener`."""
        self._each("started", lambda listener: listener.started(number, params))

    def reported(self, number: int, rung: Rung) -> None:
        """See `Listener`."""
        self._each("reported", lambda listener: listener.reported(number, rung))

    def ended(self, record: TrialRecord) -> None:
        """See `Listener`."""
        self._each("ended", lambda listener: listener.ended(record))

    def front(self, standing: Standing) -> None:
        """See `Listener`."""
        self._each("front", lambda listener: listener.front(standing))

    def _each(self, event: str, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception as error:
                name = type(listener).__name__
                if (name, event) not in self._faulty:
                    self._faulty.add((name, event))
                    self._say(
                        f"{name}.{event} failed: {type(error).__name__}: {error}; the search goes "
                        "on, and further faults of this kind are not repeated here"
                    )
