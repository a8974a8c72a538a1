"""What came of the trials of a confirmation: its models, their latencies, their teacher's look."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from tune_distill import prepare, reading, tasks, teacher
from tune_distill.confirm import latency
from tune_distill.confirm.model import TEACHER, Model
from tune_distill.confirm.plan import Slot
from tune_distill.confirm.read import PLAIN, HeldOut, attacked_in_full, look, opened, place, seen
from tune_distill.confirm.run import Confirming
from tune_distill.folder import StudyFolder
from tune_distill.inputs import Inputs
from tune_distill.record import TrialRecord
from tune_distill.spec import StudySpec, TrialConfig

Say = Callable[[str], None]


def models_of(
    own: StudyFolder,
    slots: Sequence[Slot],
    records: Mapping[int, TrialRecord],
    run: Confirming,
    say: Say,
) -> list[Model]:
    """What became of each candidate, in each form; one of which no seed ended well is left out.

    Args:
        own: the confirmation's folder.
        slots: its trials.
        records: those of the search, by number.
        run: what its worker ran.
        say: hears who is left out.
    """
    models: list[Model] = []
    for name in numbers(slots):
        mine = [slot for slot in slots if slot.candidate.name == name]
        again, failed, found = [], 0, None
        for slot in mine:
            record = own.read(slot.number)
            if record is None or record.outcome is None:
                failed += not slot.found
            elif slot.found:
                found = own.trial(slot.number)
            else:
                again.append((record.outcome, own.trial(slot.number)))
        one = mine[0].candidate
        if not again:
            say(f"{name}: left out; none of its {failed} trainings ended well")
            continue
        for form in (PLAIN, *run.wanted(mine[0].params).names):
            plain = form == PLAIN  # the search and its split have seen no other
            searched = records[one.trial].outcome if plain and one.role != "finetune" else None
            looks = [(o if plain else None, opened(place(at, form))) for o, at in again]
            shipped = opened(place(found, form)) if found else None
            models.append(Model(one, searched, shipped, looks, failed, form))
    return models


def numbers(slots: Sequence[Slot]) -> dict[str, list[int]]:
    """The numbers of each candidate's trials, by its name."""
    found: dict[str, list[int]] = {}
    for slot in slots:
        found.setdefault(slot.candidate.name, []).append(slot.number)
    return found


def timed(
    own: StudyFolder,
    slots: Sequence[Slot],
    models: Sequence[Model],
    run: Confirming,
    inputs: Inputs,
    say: Say,
) -> latency.Timings:
    """The latencies of the teacher, and of one student of each candidate in all its forms."""
    wanted = {model.candidate.name for model in models}
    task = tasks.open_prepared(inputs.task)
    ready = {TEACHER: latency.Timed(inputs.teacher, task.search)}
    for slot in slots:
        name, folder = slot.candidate.name, own.trial(slot.number)
        if name in wanted and name not in ready and seen(folder):
            reads = reading.find(inputs.readings, TrialConfig.from_params(slot.params).student)
            rows = tasks.open_prepared(reads.task).search
            student = run.student(slot.params, folder)
            if not slot.found:
                student = own.student(slot.number)
            ready[name] = latency.Timed(student, rows, run.wanted(slot.params))
    return latency.timings(own.path / latency.FILE, ready, say)


def teacher_look(
    spec: StudySpec, inputs: Inputs, own: StudyFolder, attacked_rows: int | None, say: Say
) -> HeldOut:
    """The teacher's own look at the held-out rows; of an earlier run, where it asked for the same.

    Its attacks are of as many rows as the students'.
    """
    full = attacked_in_full(spec, attacked_rows)
    digest = dict(inputs.digests)["teacher"][:16]
    folder = own.path / f"teacher-{digest}-{attacked_rows or 'all'}"
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
