"""What a search does once, before its first trial: the task, the teacher, the teacher's signals."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tune_distill import general, reading, student, tasks, taught, teacher
from tune_distill.errors import SpecError
from tune_distill.inputs import Inputs, task_shape
from tune_distill.methods import METHODS, Method, ModelShape, TaskShape
from tune_distill.robustness import resources as attack_resources
from tune_distill.signals import Needs
from tune_distill.space import Uniform
from tune_distill.spec import StudySpec
from tune_distill.spec.attacks import ATTACKED, LOYAL
from tune_distill.spec.knobs import Frozen
from tune_distill.spec.space import every, nodes
from tune_distill.tasks import DataWarning, Prepared, Task
from tune_distill.taught import Lessons, answered, filed
from tune_distill.teacher import Check
from tune_distill.teacher.store import Say, record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class CheckedTeacher:
    """A study's teacher that has learned the task, and the task in its tokens."""

    folder: Path
    rows: Task
    task: Prepared
    check: Check


def prepare(spec: StudySpec, root: Path, say: Say) -> Inputs:
    """Makes what a study's trials need, or finds it in the cache.

    Args:
        spec: the study.
        root: the folder of all caches.
        say: hears what is done, a line at a time.

    Raises:
        DataError: the task's rows don't fit it.
        TeacherError: the teacher doesn't fit the task, or hasn't learned it.
    """
    device = own_device()
    resources = attack_resources.prepare(spec, root, say)
    found = prepare_teacher(spec, root, say)
    readings = reading.prepare(spec, found.folder, found.task, found.rows, root, say)
    model = teacher.load(found.folder)
    needs = needed(spec, student.shape(model.config), task_shape(found.task))
    names = found.task.label_names
    resources = attack_resources.with_static(resources, spec, names, root, say)
    lessons = Lessons(spec, found.task, needs, resources, root, say, device)
    own = lessons.taught(found.folder)
    augmented = lessons.augmented(found.folder)
    return Inputs(
        task=found.task.folder,
        readings=readings,
        teacher=found.folder,
        signals=own.signals,
        outcome=own.outcome,
        general=_general(spec, found.folder, root, say),
        resources=resources,
        digests=(
            ("data", found.task.digest),
            ("teacher", teacher.digest(model)),
            *attack_resources.digests(spec, resources),
            *sorted(
                {
                    (f"checkpoint.{r.source.name}", record(r.source)["digest"])
                    for r in readings
                    if r.checkpoint
                }
            ),
        ),
        answers=own.answers,
        hardened=tuple(lessons.hardened(found.folder, found.rows, augmented)),
        augmented=augmented,
    )


def prepare_teacher(spec: StudySpec, root: Path, say: Say) -> CheckedTeacher:
    """The first half of `prepare`: the task's rows, and a teacher that has learned them."""
    device = own_device()
    task = load_task(spec, say, root)
    folder = teacher.resolve(spec.teacher, task, spec.task.max_length, root, say, device=device)
    prepared = tasks.prepare(spec.task, teacher.load_tokenizer(folder), root / "tasks", task)

    def answers() -> NDArray[np.float32] | None:
        return filed(answered(teacher.load(folder), prepared, root, device))

    checked = teacher.check(folder, prepared, spec.teacher.floor, device=device, answers=answers)
    say(f"teacher: {checked.metric} {checked.score:.4f} on {checked.rows:,} search rows")
    return CheckedTeacher(folder, task, prepared, checked)


def load_task(spec: StudySpec, say: Say, root: Path | None = None) -> Task:
    """The rows of a study's task; warnings and notes are said.

    Args:
        spec: the study.
        say: hears of them, a line at a time.
        root: the folder of all caches, which keeps splits; None makes them anew.

    Raises:
        DataError: the rows don't fit the task.
        SpecError: an objective makes no sense for such a task.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        task = tasks.load(spec.task, root and root / "splits")
    for warning in caught:
        say(f"warning: {warning.message}")
    for note in task.notes:
        say(note)
    if (spec.attacked or spec.robustness.static) and task.kind != "single_label":
        asked = [f"objectives.{o.name}" for o in spec.axes if o.name in ATTACKED]
        asked += ["robustness.rows"] if spec.robustness.static else []
        what = "several labels a row" if task.kind == "multi_label" else "a number a row"
        raise SpecError(
            f"{', '.join(asked)}: an attack makes a text be taken for another class, and the task"
            f" {task.name} has {what}; leave it out"
        )
    if task.kind != "single_label" and (alike := [o.name for o in spec.axes if o.name in LOYAL]):
        raise SpecError(
            f"objectives.{alike[0]}: how often a student says what its teacher says is measured "
            f"where a row has one class, and the task {task.name} has none; leave it out"
        )
    taught.refuse(spec, task_shape(task))
    attack_resources.check(spec)
    return task


def needed(spec: StudySpec, shape: ModelShape, task: TaskShape) -> Needs:
    """All signals that the methods of a study ask of its teacher, whatever is drawn."""
    needs = Needs()
    for method in _methods(spec):
        for layers in every(nodes(spec.space.student)["layers"]):
            drawn = ModelShape(int(layers), shape.hidden_size, shape.heads)
            if not method.check(shape, drawn, task):
                needs |= method.needs(shape, drawn)[0]
    return needs


def _methods(spec: StudySpec) -> Iterator[Method]:
    """The methods of a study, in every combination of their knobs that are no ranges of floats."""
    for name, knobs in nodes(spec.space.method).items():
        discrete = {
            knob: every(distribution)
            for knob, distribution in nodes(knobs or Frozen()).items()
            if not isinstance(distribution, Uniform)
        }
        if knobs is not None:
            for values in product(*discrete.values()):
                yield METHODS[name](**dict(zip(discrete, values, strict=True)))


def _general(spec: StudySpec, folder: Path, root: Path, say: Say) -> general.Corpus | None:
    """What the general phase needs; None where the study has none."""
    if spec.general is None:
        return None
    tokenizer = teacher.load_tokenizer(folder)
    return general.prepare(spec.general, tokenizer, spec.task.max_length, root, say)


def own_device() -> str:
    """Where the work before the first trial runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"
