"""What is asked of a draw before it becomes a trial: can it be trained, and what does it weigh?

infeasible(spec, inputs, params)      why it can't be trained; nothing for a good one
known(inputs, params)                 what its student measures whatever it learns
refusals(config, taught, ...)         why it can't be trained, told from architectures alone

A search asks this of hundreds of draws a trial, so nothing is built and folders are opened once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tune_distill import general, measure, reading, student, tasks
from tune_distill.inputs import Inputs, task_shape, teacher_config
from tune_distill.methods import ModelShape, TaskShape
from tune_distill.reading import Reading
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig
from tune_distill.spec.bounds import passed
from tune_distill.tasks import Prepared

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


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


def _beyond(spec: StudySpec, config: TrialConfig, own: Reading) -> list[str]:
    """The constraints that a student would break whatever it learned."""
    return passed(spec.bounds, _known(config, own)) if spec.bounds else []


def _known(config: TrialConfig, own: Reading) -> dict[str, float]:
    task = _opened(own.task)
    shape = student.config(config.student, reading.config(own), task.label_names, task.kind)
    return measure.known(shape, task.search.lengths)


@lru_cache(maxsize=8)
def _opened(folder: Path) -> Prepared:
    return tasks.open_prepared(folder)
