"""How far a search has come, as plain data: what the live display and the plain lines show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tune_distill.launch.standing import Standing, standing
from tune_distill.outcome import Objective, losses
from tune_distill.record import Rung, TrialRecord
from tune_distill.space import Params
from tune_distill.spec.bounds import Bound


@dataclass
class Running:
    """A trial in flight."""

    params: Params
    rung: Rung | None = None

    def line(self, number: int) -> str:
        """`trial 8   2 x 64, 4 heads   kd   epoch 1/2   accuracy 0.861`."""
        student = described(self.params)
        epochs = self.params.get("train.epochs", "?")
        done = self.rung.epoch if self.rung else 0
        score = f"   accuracy {self.rung.accuracy:.3f}" if self.rung else ""
        return f"trial {number:<4} {student:<26} epoch {done}/{epochs}{score}"


@dataclass
class Progress:
    """The state of a search; a listener of the launcher's events."""

    axes: Sequence[Objective]
    wanted: int
    records: list[TrialRecord] = field(default_factory=list)  # ended earlier, then here
    running: dict[int, Running] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    bounds: Sequence[Bound] = ()  # the study's constraints

    def __post_init__(self) -> None:
        self.earlier = len(self.records)
        self._refresh()

    def started(self, number: int, params: Params) -> None:
        """A trial began."""
        self.running[number] = Running(params)

    def reported(self, number: int, rung: Rung) -> None:
        """A trial finished an epoch."""
        if number in self.running:
            self.running[number].rung = rung

    def ended(self, record: TrialRecord) -> None:
        """A trial is over."""
        self.running.pop(record.number, None)
        self.records.append(record)
        self._refresh()

    def front(self, now: Standing) -> None:
        """How the search stands: here only its budget, and the draws that it rejected."""
        self.wanted, self.rejected = now.wanted, now.rejected

    def _refresh(self) -> None:
        self.now = standing(self.records, self.axes, self.wanted, self.rejected, False, self.bounds)

    def counts(self) -> str:
        """`running 2 · complete 6 · failed 1 · front 4 · hypervolume 0.412`."""
        states = self.now.states
        parts = [f"running {len(self.running)}", f"complete {states.get('complete', 0)}"]
        parts += [f"{state} {states[state]}" for state in ("pruned", "failed") if state in states]
        parts += [f"{kind} draws {count}" for kind, count in self.rejected.items() if count]
        return " · ".join([*parts, self.volume(" · ")])

    def volume(self, between: str) -> str:
        """`front 4 · hypervolume 0.412`."""
        return f"front {len(self.now.front)}{between}hypervolume {self.now.hypervolume:.4g}"

    def best(self) -> str:
        """`accuracy 0.912 (trial 3) · size_mb 0.61 (trial 5)`."""
        front = [r for r in self.now.records if r.number in self.now.front and r.outcome]
        parts = []
        for i, axis in enumerate(self.axes):
            table = losses([r.outcome for r in front if r.outcome], self.axes)
            if len(table):
                record = front[int(table[:, i].argmin())]
                value = record.outcome.measures()[axis.name] if record.outcome else 0.0
                parts.append(f"{axis.name} {value:.4g} (trial {record.number})")
        return " · ".join(parts)

    def line(self, record: TrialRecord, elapsed: float) -> str:
        """One plain line for a trial that has ended."""
        if record.outcome is not None:
            measures = record.outcome.measures()
            told = "  ".join(f"{axis.name} {measures[axis.name]:.4g}" for axis in self.axes)
        else:
            told = record.reason
        done = f"[{len(self.records)}/{self.wanted}, {clock(elapsed)}]"
        return (
            f"trial {record.number} {record.state}: {described(record.params)}  {told}  "
            f"{self.volume(', ')}  {done}"
        )

    def left(self, elapsed: float) -> float | None:
        """Seconds to go, at the pace of this session; None before its first trial has ended."""
        ended = len(self.records) - self.earlier
        if not ended:
            return None
        return elapsed / ended * max(0, self.wanted - len(self.records))


def described(params: Params) -> str:
    """`2 x 64, 4 heads, kd`."""
    return (
        f"{params['student.layers']} x {params['student.hidden_size']}, "
        f"{params['student.heads']} heads, {params['method']}"
    )


def clock(seconds: float) -> str:
    """`01:23`, or `1:02:03` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
