"""The search as a person watches it: one live panel in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tune_distill.cli.progress import Progress, clock
from tune_distill.launch.standing import Standing
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Params


class Display:
    """A listener of the launcher's events that draws to stderr."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name = name
        self._progress = progress
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """A line above the panel."""
        self._console.print(Text(line), soft_wrap=True)

    def started(self, number: int, params: Params) -> None:
        """A trial began."""
        self._progress.started(number, params)

    def reported(self, number: int, rung: Rung) -> None:
        """A trial finished an epoch."""
        self._progress.reported(number, rung)

    def front(self, now: Standing) -> None:
        """How the search stands."""
        self._progress.front(now)

    def ended(self, record: TrialRecord) -> None:
        """A trial is over."""
        self._progress.ended(record)
        self.say(self._progress.line(record, time.monotonic() - self._began))

    def __rich__(self) -> Group:
        elapsed = time.monotonic() - self._began
        progress, left = self._progress, self._progress.left(elapsed)
        done = len(progress.records)
        head = Table.grid(padding=(0, 2))
        eta = "" if left is None else f" · about {clock(left)} left"
        head.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=progress.wanted, completed=done, width=32),
            Text(f"{done}/{progress.wanted} trials · {clock(elapsed)}{eta}"),
        )
        lines = [Text(progress.counts())]
        if progress.now.front:
            lines.append(Text(f"best  {progress.best()}", style="green"))
        lines += [
            Text(f"  {running.line(number)}", style="dim")
            for number, running in sorted(progress.running.items())
        ]
        return Group(Text(""), head, *lines)
