"""The story of a confirmation: plan, train again, read the held-out rows, say what they show.

    STUDY/confirm/            a folder of a study's own shape: trials/, outbox/
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
from torch import nn

from tune_distill import prepare, tasks, teacher, trial
from tune_distill.confirm.plan import Controls, Slot, candidates, fresh_seeds, schedule
from tune_distill.confirm.read import HeldOut, attacked_in_full, look, opened, seen
from tune_distill.confirm.run import Confirming, Found, key
from tune_distill.confirm.summary import Model, Rows, summary
from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.folder import StudyFolder, TrialRecord, write_atomically
from tune_distill.front import Front
from tune_distill.launch.search import Listen, repeat
from tune_distill.prepare import Inputs
from tune_distill.spec import StudySpec

Say = Callable[[str], None]
CONFIRM, REPORT = "confirm", "confirm.json"


@dataclass(frozen=True)
class Asked:
    """What a confirmation is to do."""

    seeds: int = 5  # fresh ones for each model
    controls: Controls = "knee"
    trials: tuple[int, ...] = ()  # of the search; none: its front
    attacked_rows: int | None = None  # of the held-out ones; None is all


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
    own = StudyFolder((folder.path / CONFIRM).resolve())
    inputs = prepare.prepare(spec, folder.cache, say)
    slots = _plan(spec, folder, own, asked, inputs, say)
    records = {record.number: record for record in folder.records()}
    trials = {slot.number: slot.params for slot in slots}
    run = Confirming(_found(folder, slots, records), asked.attacked_rows)
    count = sum(not slot.found for slot in slots)
    say(f"confirm: {len(slots) - count} students as found, {count} to train on fresh seeds")
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
    taught = _teacher(spec, inputs, own, asked, say)
    models = _models(own, slots, records, say)
    if not models:
        raise TuneDistillError(f"no student of {own.path} could be trained again; see its trials")
    task = tasks.open_prepared(inputs.task)
    rows = Rows(task.metric, np.asarray(task.heldout.labels))
    told = summary(spec.name, spec.axes, models, taught, rows)
    write_atomically(folder.path / REPORT, json.dumps(told, indent=1))
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
        reasons = prepare.infeasible(spec, inputs, candidate.params)
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


def _teacher(spec: StudySpec, inputs: Inputs, own: StudyFolder, asked: Asked, say: Say) -> HeldOut:
    """The teacher's own look at the held-out rows; of an earlier run, where it asked for the same.

    Its attacks are of as many rows as the students'.
    """
    full = attacked_in_full(spec, asked.attacked_rows)
    digest = dict(inputs.digests)["teacher"][:16]
    folder = own.path / f"teacher-{digest}-{asked.attacked_rows or 'all'}"
    if not seen(folder):
        say("reading the held-out rows with the teacher")
        folder.mkdir(exist_ok=True)
        model, device = teacher.load(inputs.teacher), prepare.own_device()
        nn.Module.to(model, device)
        look(
            model,
            teacher.load_tokenizer(inputs.teacher),
            tasks.open_prepared(inputs.task),
            full,
            folder,
            device,
            inputs.resources,
        )
    return opened(folder)


def _models(
    own: StudyFolder, slots: Sequence[Slot], records: Mapping[int, TrialRecord], say: Say
) -> list[Model]:
    """What became of each candidate; those of which no seed ended well are left out, and said."""
    models = []
    for candidate in dict.fromkeys(slot.candidate.name for slot in slots):
        mine = [slot for slot in slots if slot.candidate.name == candidate]
        again, failed, found = [], 0, None
        for slot in mine:
            record = own.read(slot.number)
            if record is None or record.outcome is None:
                failed += not slot.found
            elif slot.found:
                found = opened(own.trial(slot.number))
            else:
                again.append((record.outcome, opened(own.trial(slot.number))))
        one = mine[0].candidate
        searched = records[one.trial].outcome if one.role != "finetune" else None
        if again:
            models.append(Model(one, searched, found, again, failed))
        else:
            say(f"{candidate}: left out; none of its {failed} trainings ended well")
    return models
