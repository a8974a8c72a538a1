"""A whole study: the models of its YAML, with what they must agree on."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tune_distill.outcome import MEASURES, Goal, Objective
from tune_distill.space import Space
from tune_distill.spec import beforehand, enqueue, stopping
from tune_distill.spec.attacks import ATTACKED, RobustnessSpec
from tune_distill.spec.bounds import Bound
from tune_distill.spec.knobs import Frozen, PositiveInt
from tune_distill.spec.problems import did_you_mean
from tune_distill.spec.space import SpaceSpec
from tune_distill.spec.stopping import StoppingSpec
from tune_distill.spec.task import TaskSpec
from tune_distill.spec.teaching import GeneralSpec, TeacherSpec


def _measure(name: str) -> str:
    if name not in MEASURES:
        raise ValueError(
            f"unknown measure; a trial has {', '.join(MEASURES)}{did_you_mean(name, MEASURES)}"
        )
    return name


Measure = Annotated[str, AfterValidator(_measure)]


class ObjectiveSpec(Frozen):
    """One axis of the front."""

    goal: Goal
    reference: float  # the worst value of interest: hypervolume's corner


def _stated(text: str) -> str:
    Bound.parse(text)
    return text


Constraint = Annotated[str, AfterValidator(_stated)]


class ResourceSpec(Frozen):
    """What Ray gives a trial."""

    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0
    # At the end of the epoch in which it is over, a trial is stopped: PRUNED. Three times as long
    # without a word, and it counts as hung: failed.
    max_minutes_per_trial: Annotated[float, Field(gt=0)] | None = None
    concurrent: PositiveInt | None = None  # None: as many as the resources allow
    system_metrics: bool = False  # processor and memory of each trial, at its rungs, in MLflow

    @property
    def threads(self) -> int:
        """Of torch, in a trial: its share of the machine, and no more."""
        return max(1, int(self.cpus_per_trial))

    @property
    def device(self) -> str:
        """Where a trial runs."""
        return "cuda" if self.gpus_per_trial else "cpu"


class SearchSpec(Frozen):
    """How the space is searched."""

    trials: PositiveInt = 20
    sampler: Literal["tpe", "ehvi", "nsga2", "nsga3", "gp", "random", "qmc"] = "ehvi"
    seed: Annotated[int, Field(ge=0)] = 0
    enqueue: tuple[str, ...] = ()  # published settings to try first: pkd:sst2, lad:rte, tinybert
    known: str | None = Field(default=None, alias="from")  # an earlier study: its name or folder
    max_hours: Annotated[float, Field(gt=0)] | None = None  # of a run; no trial starts later
    stop_early: StoppingSpec = StoppingSpec()  # {rule: moasha, grace: 1, factor: 3}
    max_failures: Annotated[int, Field(ge=0)] = 2  # restarts of a trial whose worker died

    @field_validator("enqueue")
    @classmethod
    def _published(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [reason for name in names if (reason := enqueue.unknown(name))]:
            raise ValueError("; ".join(wrong))
        return names


class StudySpec(Frozen):
    """A whole study."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    task: TaskSpec
    teacher: TeacherSpec
    space: SpaceSpec
    general: GeneralSpec | None = None
    objectives: dict[Measure, ObjectiveSpec]
    constraints: tuple[Constraint, ...] = ()  # "size_mb <= 60": no trial beyond is on the front
    robustness: RobustnessSpec = RobustnessSpec()
    search: SearchSpec = SearchSpec()
    resources: ResourceSpec = ResourceSpec()

    @field_validator("objectives")
    @classmethod
    def _at_least_one(cls, objectives: dict[str, ObjectiveSpec]) -> dict[str, ObjectiveSpec]:
        if not objectives:
            raise ValueError(f"name at least one of {', '.join(MEASURES)}")
        return objectives

    @model_validator(mode="after")
    def _static_rows_are_no_objective(self) -> Self:
        asked = [name for name in ATTACKED if name in self.objectives]
        if asked and self.robustness.static:
            raise ValueError(
                f"objectives.{asked[0]}: rows of a file (robustness.rows) are not attacked, and how"
                " many of them a student gets right tells more of its likeness to the models that"
                " they fooled; it is reported as robust_static, but is no objective. Give"
                " robustness.rows a number, or take the objective out"
            )
        return self

    @model_validator(mode="after")
    def _defences_can_be_prepared(self) -> Self:
        if wrong := beforehand.unprepared(self.space.robust):
            raise ValueError("; ".join(f"space.{one}" for one in wrong))
        return self

    @model_validator(mode="after")
    def _constraints_are_measured(self) -> Self:
        for at, bound in enumerate(self.bounds):
            if bound.measure in ATTACKED and not self.attacked:
                raise ValueError(
                    f"constraints.{at}: {bound} bounds what no trial of this study measures: "
                    f"attacks run where {' or '.join(ATTACKED)} is an objective"
                )
        return self

    @model_validator(mode="after")
    def _something_can_be_stopped(self) -> Self:
        if wrong := stopping.misfit(self.search.stop_early, self.objectives, self.search_space):
            raise ValueError(wrong)
        return self

    @model_validator(mode="after")
    def _settings_fit(self) -> Self:
        if wrong := enqueue.misfits(self.search.enqueue, self.search_space):
            raise ValueError(
                "search.enqueue: " + "; ".join(wrong) + "; widen the space, or leave it out"
            )
        return self

    @cached_property
    def axes(self) -> tuple[Objective, ...]:
        """The objectives, in the order of the YAML."""
        return tuple(Objective(n, o.goal, o.reference) for n, o in self.objectives.items())

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """The constraints."""
        return tuple(map(Bound.parse, self.constraints))

    @cached_property
    def search_space(self) -> Space:
        """The space to draw trials from."""
        return self.space.build()

    @property
    def attacked(self) -> bool:
        """Whether an objective asks for the attacks."""
        return not set(ATTACKED).isdisjoint(self.objectives)
