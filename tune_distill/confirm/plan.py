"""What is trained again: the members of a front, and the controls that they are held against.

    found      the member as the search trained it; it is read, not trained
    front      the same draw on fresh seeds
    finetune   the member's student without a teacher, started from its teacher's layers
    kd         the most accurate plain distillation (Hinton et al. 2015) that the search has tried

Each is a slot: a trial with a number of its own. What has ended keeps its number in a later plan,
so more seeds, or a front that has moved, cost what is new.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tune_distill.front import Front
from tune_distill.record import TrialRecord
from tune_distill.space import Params, Scalar
from tune_distill.spec.knobs import PLAIN

Role = Literal["front", "finetune", "kd"]
Controls = Literal["all", "knee", "none"]
FRESH = 1_000_000  # the first fresh seed; a search counts its own from `search.seed` on
SEED = "train.seed"


@dataclass(frozen=True)
class Candidate:
    """A draw that is trained on several seeds."""

    role: Role
    trial: int  # of the search: the trial that it repeats, or is a control of
    params: Params  # with that trial's seed

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return {
            "front": f"trial {self.trial}",
            "finetune": f"finetune of {self.trial}",
            "kd": f"kd, trial {self.trial}",
        }[self.role]


@dataclass(frozen=True)
class Slot:
    """One trial of a confirmation."""

    number: int
    candidate: Candidate
    params: Params  # with this slot's seed
    found: bool  # the search's own student, read as it is


def candidates(
    front: Front, members: Sequence[TrialRecord], controls: Controls = "knee"
) -> list[Candidate]:
    """The members of a front, and their controls.

    Args:
        front: of the search.
        members: those to confirm.
        controls: `finetune` for each of them, for the one nearest the front's knee, or for none;
            with one or the other, `kd` where the search has tried it.
    """
    chosen = [Candidate("front", record.number, record.params) for record in members]
    if controls == "none" or not chosen:
        return chosen
    knee = next((c for c in chosen if c.trial == front.knee), chosen[len(chosen) // 2])
    for one in chosen if controls == "all" else [knee]:
        params = without_teacher(one.params)
        if not any(_same(params, other.params) for other in chosen):
            chosen.append(Candidate("finetune", one.trial, params))
    plain = [r for r in front.allowed if r.params["method"] == "kd" and r.outcome]
    best = max(plain, key=lambda r: r.outcome.accuracy if r.outcome else 0.0, default=None)
    if best is not None and all(best.number != one.trial for one in chosen):
        chosen.append(Candidate("kd", best.number, best.params))
    return chosen


def without_teacher(params: Params) -> Params:
    """The same student, fine-tuned: its teacher's layers to start from, and nothing else of it."""
    kept: dict[str, Scalar] = {
        name: value
        for name, value in params.items()
        if name.partition(".")[0] not in {"method", "robust"}
    }
    if kept.get("student.init") == "random":
        kept["student.init"] = "uniform"
    return {**kept, "method": "finetune", "robust": PLAIN}


def fresh_seeds(count: int, records: Iterable[TrialRecord]) -> list[int]:
    """Seeds that no trial of the search was trained with."""
    taken = {record.params.get(SEED) for record in records}
    unused = (seed for seed in itertools.count(FRESH) if seed not in taken)
    return list(itertools.islice(unused, count))


def schedule(
    chosen: Sequence[Candidate], seeds: Sequence[int], known: Mapping[int, Params]
) -> list[Slot]:
    """The trials of a confirmation, one seed of all candidates after the other.

    Args:
        chosen: what is to be trained.
        seeds: fresh ones.
        known: the parameters of what has ended, by number.

    Returns:
        The slots of this plan. One that was cut short gets the same number again, as long as the
        plan before it is the same.
    """
    numbers = {_key(params): number for number, params in known.items()}
    new = (number for number in itertools.count() if number not in known)
    slots = []
    for candidate, params, found in _wanted(chosen, seeds):
        number = numbers.get(_key(params))
        number = next(new) if number is None else number
        slots.append(Slot(number, candidate, params, found))
    return slots


def _wanted(
    chosen: Sequence[Candidate], seeds: Sequence[int]
) -> Iterator[tuple[Candidate, Params, bool]]:
    for candidate in chosen:
        if candidate.role != "finetune":
            yield candidate, candidate.params, True
    for seed in seeds:
        for candidate in chosen:
            yield candidate, {**candidate.params, SEED: seed}, False


def _same(params: Params, other: Params) -> bool:
    return _key({**params, SEED: None}) == _key({**other, SEED: None})


def _key(params: Mapping[str, Scalar]) -> str:
    """The same text for the same draw; what is at its default says nothing."""
    return json.dumps({**{"robust": PLAIN}, **params}, sort_keys=True)
