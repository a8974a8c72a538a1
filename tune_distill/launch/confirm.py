"""The story of a confirmation: plan, train again, read the held-out rows, say what they show.

    STUDY/confirm/            a folder of a study's own shape: trials/, outbox/; latency.json
    STUDY/confirm.json        `confirm.summary`

The same command goes on after an interruption; with more seeds it trains what is new.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tune_distill import draws, prepare, tasks, trial
from tune_distill.confirm import REPORT
from tune_distill.confirm.model import Rows
from tune_distill.confirm.plan import Controls, Slot, candidates, fresh_seeds, schedule
from tune_distill.confirm.run import Confirming, Found, key
from tune_distill.confirm.summary import summary
from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.forms import Wanted
from tune_distill.front import Front
from tune_distill.inputs import Inputs
from tune_distill.launch.confirmed import models_of, numbers, teacher_look, timed
from tune_distill.launch.preparing import Kept
from tune_distill.launch.search import Listen, repeat
from tune_distill.record import TrialRecord
from tune_distill.spec import StudySpec

Say = Callable[[str], None]
CONFIRM = "confirm"


@dataclass(frozen=True)
class Asked:
    """What a confirmation is to do."""

    seeds: int = 5  # fresh ones for each model
    controls: Controls = "knee"
    trials: tuple[int, ...] = ()  # of the search; none: its front
    attacked_rows: int | None = None  # of the held-out ones; None is all
    forms: Wanted = Wanted()  # noqa: RUF009 - frozen; of the members, beside PyTorch's


def confirm(
    spec: StudySpec,
    document: Mapping[str, Any],
    folder: StudyFolder,
    asked: Asked,
    *,
    listen: Listen[Inputs],
    say: Say,
    address: str | None = None,
    num_cpus: int | None = None,
    temporary: Path | None = None,
) -> dict[str, Any]:
    """Confirms the front of a search that has ended; what it says is filed as confirm.json.

    Args:
        spec: the study.
        document: what `spec` was read from.
        folder: of the study.
        asked: what to do.
        listen: as in `search`; with the folder of the confirmation.
        say: gets a line now and then, for people.
        address: as in `search`.
        num_cpus: as in `search`.
        temporary: as in `search`.

    Raises:
        NoFeasibleStudent: the front is empty.
        SpecError: a trial that was asked for is not complete.
        TuneDistillError: the trials of every model failed; or as `search`.
    """
    own = folder.within(CONFIRM)
    own.pull()
    inputs = Kept(prepare.prepare, folder)(spec, folder.cache, say).opened()
    slots = _plan(spec, folder, own, asked, inputs, say)
    records = {record.number: record for record in folder.records()}
    trials = {slot.number: slot.params for slot in slots}
    run = Confirming(_found(folder, slots, records), asked.attacked_rows, _forms(slots, asked))
    count = sum(not slot.found for slot in slots)
    left = sum(own.read(slot.number) is None for slot in slots)
    say(
        f"confirm: {len(slots) - count} students as found, {count} trained on fresh seeds; "
        f"{left} of these {len(slots)} are still to do"
    )
    repeat(
        spec,
        document,
        trials,
        own,
        inputs,
        run=run,
        read_rungs=trial.read_rungs,
        listen=listen,
        say=say,
        address=address,
        num_cpus=num_cpus,
        temporary=temporary,
    )
    own.pull()
    _catch_up(spec, own, slots, run, inputs, say)
    taught = teacher_look(spec, inputs, own, asked.attacked_rows, say)
    models = models_of(own, slots, records, run, say)
    if not models:
        raise TuneDistillError(f"no student of {own.path} could be trained again; see its trials")
    task = tasks.open_prepared(inputs.task)
    rows = Rows(task.metric, np.asarray(task.heldout.labels))
    told = summary(
        spec.name,
        spec.axes,
        models,
        taught,
        rows,
        latency=timed(own, slots, models, run, inputs, say),  # no trial runs any more
        trials=numbers(slots),
    )
    write_atomically(folder.path / REPORT, json.dumps(told, indent=1))
    own.sync()
    return told


def _plan(
    spec: StudySpec,
    folder: StudyFolder,
    own: StudyFolder,
    asked: Asked,
    inputs: Inputs,
    say: Say,
) -> list[Slot]:
    records = folder.records()
    front = Front(records, spec.axes, spec.bounds)
    front.require()
    wanted = asked.trials or front.members
    members = [r for r in records if r.number in wanted and r.outcome is not None]
    if missing := sorted(set(wanted) - {record.number for record in members}):
        known = ", ".join(str(record.number) for record, _ in front.complete)
        raise SpecError(f"--trial {missing[0]}: no such complete trial; complete are {known}")
    chosen = []
    for candidate in candidates(front, members, asked.controls):
        reasons = draws.infeasible(spec, inputs, candidate.params)
        if reasons and candidate.role != "front":  # beyond a constraint, it is no alternative
            say(f"{candidate.name}: left out; {'; '.join(reasons)}")
        else:
            chosen.append(candidate)
    known_slots = {record.number: record.params for record in own.records()}
    return schedule(chosen, fresh_seeds(asked.seeds, records), known_slots)


def _found(
    folder: StudyFolder, slots: Sequence[Slot], records: Mapping[int, TrialRecord]
) -> dict[str, Found]:
    found = {}
    for slot in slots:
        record = records[slot.candidate.trial]
        student = folder.student(record.number).resolve()
        if slot.found and record.outcome is not None and student.is_dir():
            found[key(slot.params)] = Found(student, record.outcome)
    return found


def _forms(slots: Sequence[Slot], asked: Asked) -> dict[str, Wanted]:
    """The further forms of students, by their parameters: those of the front's members."""
    return {key(slot.params): asked.forms for slot in slots if slot.candidate.role == "front"}


def _catch_up(
    spec: StudySpec,
    own: StudyFolder,
    slots: Sequence[Slot],
    run: Confirming,
    inputs: Inputs,
    say: Say,
) -> None:
    """Reads the held-out rows with what an earlier run has trained and not read in this way.

    That is with forms that it did not ask for, or under attack on another number of rows.
    """
    ended = {record.number for record in own.records() if record.outcome is not None}
    late = [
        slot
        for slot in slots
        if slot.number in ended and run.unread(spec, slot.params, own.trial(slot.number))
    ]
    if late:
        say(f"reading the held-out rows with {len(late)} students that were trained before")
    for slot in late:
        own.fetch(slot.number)
        with own.keeping(slot.number) as keep:
            run.read(spec, slot.params, inputs, own.trial(slot.number), prepare.own_device())
            keep()
