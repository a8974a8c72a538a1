"""The thread that empties the outbox: in order, in batches, again until all is received."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

from tune_distill.track.change import NOTE, Change, fold
from tune_distill.track.outbox import Outbox, Position
from tune_distill.track.uri import redacted
from tune_distill.track.writer import Refused, Writer, quiet_client

_BATCH = 1000  # changes folded into one request a run
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between attempts while the server is away
_LAST_ATTEMPT = 4.0  # seconds for a server that did not answer before


class Sender:
    """Sends what an outbox holds; tells `say` when the server goes away and when it returns."""

    def __init__(
        self,
        outbox: Outbox,
        position: Position,
        writer: Writer,
        say: Callable[[str], None],
        interval: float,
    ) -> None:
        self._outbox, self._position, self._writer = outbox, position, writer
        self._say, self._interval = say, interval
        self._wake, self._closing = threading.Event(), threading.Event()
        self._deadline = float("inf")
        self._failures = 0
        self.problem = ""  # why the last attempt failed
        self.refused = 0  # changes that the server will never take
        self._thread = threading.Thread(target=self._loop, name="tune-distill-mlflow", daemon=True)

    def start(self) -> None:
        """Starts the thread, which also imports MLflow: seconds for which the driver won't wait."""
        self._wake.set()  # an earlier run may have left something
        self._thread.start()

    def wake(self) -> None:
        """Says that there is something to send."""
        self._wake.set()

    def close(self, timeout: float) -> None:
        """Sends what is left within `timeout` seconds; a server that is away gets one attempt."""
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._thread.join(min(timeout, _LAST_ATTEMPT) if self._failures else timeout)

    def unsent(self) -> int:
        """The changes and files that the server hasn't received."""
        waiting = sum(1 for _ in self._outbox.read(self._position.offset))
        return waiting + len(self._position.artifacts)

    def _loop(self) -> None:
        with quiet_client():
            while True:
                self._wake.clear()  # before the look at `closing`, which is set before `wake`
                closing = self._closing.is_set()
                self._attempt()
                if closing:
                    return
                self._pause()

    def _pause(self) -> None:
        if self._failures:
            self._closing.wait(_PAUSES[min(self._failures, len(_PAUSES)) - 1])
        elif self._wake.wait():
            self._closing.wait(self._interval)  # what is told together is sent together

    def _attempt(self) -> None:
        try:
            self._send()
        except Exception as error:  # the edge of a thread: whatever it is, nothing may be lost
            self._failures += 1
            self.problem = _short(error)
            self._writer.forget()
            if self._failures == 1:
                self._say(
                    f"MLflow at {self._position.server} does not answer ({self.problem}); "
                    f"the search goes on, its events wait in {self._outbox.folder}"
                )
            return
        if self._failures:
            self._say(f"MLflow at {self._position.server} answers again; all events are sent")
        self._failures, self.problem = 0, ""

    def _send(self) -> None:
        if self._outbox.size() == 0:
            return
        if not self._writer.connect():
            self._position.offset = 0  # a new store, or one that lost the study: from the start
        while time.monotonic() < self._deadline:
            batch = list(self._outbox.read(self._position.offset, _BATCH))
            if not batch and not self._position.artifacts:
                return
            self._deliver([change for change, _ in batch])
            if batch:
                self._position.offset = batch[-1][1]
                self._position.save()
            self._upload()

    def _deliver(self, changes: list[Change]) -> None:
        for run, change in fold(changes).items():
            if run is None:
                self._position.artifacts |= change.artifacts
            try:
                self._writer.write(run, change)
            except Refused as refusal:
                self._refuse(refusal, {"run": run, **asdict(change)})

    def _upload(self) -> None:
        for name, file in list(self._position.artifacts.items()):
            path = self._outbox.folder.parent / file
            try:
                if name == NOTE:
                    self._writer.describe(path)
                else:
                    self._writer.upload(name, path)
            except Refused as refusal:
                self._refuse(refusal, {"artifacts": {name: file}})
            del self._position.artifacts[name]
            self._position.save()

    def _refuse(self, refusal: Refused, what: Mapping[str, object]) -> None:
        self.refused += 1
        line = json.dumps({"server": self._position.server, "why": _short(refusal), **what})
        with (self._outbox.folder / "refused.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _short(error: BaseException) -> str:
    text = redacted(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
