"""What a search does once, before its first trial: the task, the teacher, the teacher's signals."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from tune_distill import general, measure, reading, student, tasks, taught, teacher
from tune_distill.errors import SpecError
from tune_distill.hardening import Hardening
from tune_distill.methods import METHODS, Method, ModelShape, TaskShape
from tune_distill.outcome import Outcome
from tune_distill.reading import Reading
from tune_distill.robustness import resources as attack_resources
from tune_distill.robustness.resources import Resources
from tune_distill.signals import Needs
from tune_distill.space import Params, Uniform
from tune_distill.spec import StudySpec, TrialConfig
from tune_distill.spec.attacks import ATTACKED, LOYAL
from tune_distill.spec.bounds import passed
from tune_distill.spec.knobs import Frozen
from tune_distill.spec.space import every, nodes
from tune_distill.tasks import DataWarning, Prepared, Task
from tune_distill.taught import Augmented, Lessons, Taught, answered, filed
from tune_distill.teacher import Check
from tune_distill.teacher.store import Say, record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class Inputs:
    """What all trials of a study share: folders that each opens by itself, and a few numbers."""

    task: Path  # tokenised for the teacher
    readings: tuple[Reading, ...]  # one for each checkpoint and vocabulary of the space
    teacher: Path  # Hugging Face files
    signals: Path | None  # the teacher's; None where no method has a use for them
    outcome: Outcome  # of the teacher, on the search split
    general: general.Corpus | None  # of the phase before the task
    resources: Resources  # of the attacks
    digests: tuple[tuple[str, str], ...]  # of the data, the teacher, checkpoints, by name
    answers: Path | None = None  # the teacher's, on the search split
    hardened: tuple[Taught, ...] = ()  # teachers that defences of the stage `teacher` made
    augmented: tuple[Augmented, ...] = ()  # adversarial rows of train

    def under(self, defence: Hardening | None) -> Inputs:
        """The same for a trial that drew a defence: its own teacher in the teacher's place."""
        if defence is None or not defence.of_teacher:
            return self
        wanted = defence.in_teacher()
        own = next(one for one in self.hardened if one.defence == wanted)
        return replace(
            self,
            teacher=own.folder,
            signals=own.signals,
            answers=own.answers,
            outcome=own.outcome,
            readings=tuple(one.beside(self.teacher, own.folder) for one in self.readings),
        )


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
    task = load_task(spec, say)
    folder = teacher.resolve(spec.teacher, task, spec.task.max_length, root, say, device=device)
    prepared = tasks.prepare(spec.task, teacher.load_tokenizer(folder), root / "tasks", task)

    def answers() -> NDArray[np.float32] | None:
        return filed(answered(teacher.load(folder), prepared, root, device))

    checked = teacher.check(folder, prepared, spec.teacher.floor, device=device, answers=answers)
    say(f"teacher: {checked.metric} {checked.score:.4f} on {checked.rows:,} search rows")
    return CheckedTeacher(folder, task, prepared, checked)


def infeasible(spec: StudySpec, inputs: Inputs, params: Params) -> list[str]:
    """The reasons why a draw can't be trained; empty for a good one. Builds nothing."""
    try:
        config = TrialConfig.from_params(params)
    except ValidationError as error:
        return [e["msg"].removeprefix("Value error, ") for e in error.errors()]
    own, shape = reading.find(inputs.readings, config.student), task_shape(_opened(inputs.task))
    source = teacher_config(own.source)
    reasons = refusals(config, teacher_config(inputs.teacher), source, shape, own.of_teacher)
    reasons = reasons or _beyond(spec, config, own)
    if reasons or spec.general is None or inputs.general is None:
        return reasons
    return general.refusals(
        spec.general.taught,
        teacher_config(inputs.general.masked_lm),
        ModelShape(config.student.layers, config.student.hidden_size, config.student.heads),
        whole_vocabulary=own.tokenizer == inputs.teacher,
    )


def known(inputs: Inputs, params: Params) -> dict[str, float]:
    """What a draw's student measures whatever it learns, by the names in `Outcome`."""
    config = TrialConfig.from_params(params)
    return _known(config, reading.find(inputs.readings, config.student))


def _beyond(spec: StudySpec, config: TrialConfig, own: Reading) -> list[str]:
    """The constraints that a student would break whatever it learned."""
    return passed(spec.bounds, _known(config, own)) if spec.bounds else []


def _known(config: TrialConfig, own: Reading) -> dict[str, float]:
    task = _opened(own.task)
    shape = student.config(config.student, reading.config(own), task.label_names, task.kind)
    return measure.known(shape, task.search.lengths)


def refusals(
    config: TrialConfig,
    taught: PreTrainedConfig,
    source: PreTrainedConfig,
    task: TaskShape,
    of_teacher: bool,
) -> list[str]:
    """The reasons why a student can't be trained; empty if it can.

    Args:
        config: the draw.
        taught: the teacher's architecture.
        source: that of the model that the student starts from.
        task: what it learns.
        of_teacher: whether the student reads the teacher's tokens.
    """
    drawn = config.student
    reasons = student.infeasible(drawn, taught, config.method, task, source=source)
    reasons += config.hardening.check(config.method, task) if config.hardening else []
    if reasons or of_teacher:
        return reasons
    shapes = student.shape(taught), ModelShape(drawn.layers, drawn.hidden_size, drawn.heads)
    needs = config.method.needs(*shapes)[0]
    return reading.foreign(drawn.checkpoint, config.method.name, needs)


def task_shape(task: Prepared | Task) -> TaskShape:
    """What a method may ask of a task."""
    return TaskShape(max(1, len(task.label_names)), task.kind)


@lru_cache(maxsize=8)
def teacher_config(folder: Path) -> PreTrainedConfig:
    """The architecture of a teacher in its folder."""
    from transformers.models.auto.configuration_auto import AutoConfig

    config: PreTrainedConfig = AutoConfig.from_pretrained(folder)
    return config


@lru_cache(maxsize=8)
def _opened(folder: Path) -> Prepared:
    return tasks.open_prepared(folder)


def load_task(spec: StudySpec, say: Say) -> Task:
    """The rows of a study's task; warnings and notes are said.

    Raises:
        DataError: the rows don't fit the task.
        SpecError: an objective makes no sense for such a task.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        task = tasks.load(spec.task)
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
