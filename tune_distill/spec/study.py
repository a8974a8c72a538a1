"""The models of a study's YAML, section by section."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tune_distill.outcome import MEASURES, Goal, Objective
from tune_distill.space import Space
from tune_distill.spec.knobs import Fraction, Frozen, PositiveInt
from tune_distill.spec.problems import did_you_mean
from tune_distill.spec.space import SpaceSpec


def _measure(name: str) -> str:
    if name not in MEASURES:
        raise ValueError(
            f"unknown measure; a trial has {', '.join(MEASURES)}{did_you_mean(name, MEASURES)}"
        )
    return name


Measure = Annotated[str, AfterValidator(_measure)]
Metric = Literal["accuracy", "f1", "mcc", "pearson", "spearman"]


class FilesSpec(Frozen):
    """Local files: parquet, CSV, TSV or JSON lines."""

    train: str
    validation: str


class TaskSpec(Frozen):
    """What is classified: exactly one of `builtin`, `dataset`, `files`."""

    builtin: Literal["reviews"] | None = None
    dataset: str | None = None  # a data set of the Hugging Face hub; `glue/sst2` is path/config
    files: FilesSpec | None = None
    text: str | tuple[str, str] | None = None  # the text column, or the two of a pair
    label: str = "label"
    metric: Metric | None = None  # None: the task's own, else accuracy
    max_length: Annotated[int, Field(ge=4)] = 128  # tokens
    max_train_rows: PositiveInt | None = None
    search_rows: PositiveInt | None = None  # rows of train kept for the search's own validation
    seed: int = 0  # of the split

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [n for n in ("builtin", "dataset", "files") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of builtin, dataset, files; got {given or 'none'}")
        if self.files and self.text is None:
            raise ValueError("files needs text: the name of the text column, or a list of two")
        return self


class FitSpec(Frozen):
    """How a teacher is fine-tuned on the task."""

    base: str  # a pre-trained model: hub id or folder
    learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    batch_size: PositiveInt = 32
    epochs: PositiveInt = 3
    warmup: Fraction = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    seed: int = 0


class TeacherSpec(Frozen):
    """The teacher: exactly one of `model`, `fit`, `builtin`."""

    model: str | None = None  # a fine-tuned sequence classifier: hub id or folder
    fit: FitSpec | None = None
    builtin: Literal["small"] | None = None  # a small BERT, trained from scratch
    floor: float | None = None  # least score on the search split; None: the task's own
    cache_gb: Annotated[float, Field(ge=0)] = 20.0  # 10^9 bytes of cached signals

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [n for n in ("model", "fit", "builtin") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of model, fit, builtin; got {given or 'none'}")
        return self


class RobustnessSpec(Frozen):
    """The attacks behind `robust_worst`."""

    attacks: tuple[Literal["char"], ...] = ("char",)
    rows: PositiveInt = 400  # fixed, stratified rows of the search split
    budget: PositiveInt = 30  # queries a row


class ObjectiveSpec(Frozen):
    """One axis of the front."""

    goal: Goal
    reference: float  # the worst value of interest: hypervolume's corner


class ResourceSpec(Frozen):
    """What Ray gives a trial."""

    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0)] = 0.0
    concurrent: PositiveInt | None = None  # None: as many as the resources allow

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
    sampler: Literal["tpe", "nsga2", "random"] = "tpe"
    seed: Annotated[int, Field(ge=0)] = 0
    max_failures: Annotated[int, Field(ge=0)] = 2  # restarts of a trial whose worker died


class StudySpec(Frozen):
    """A whole study."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    task: TaskSpec
    teacher: TeacherSpec
    space: SpaceSpec
    objectives: dict[Measure, ObjectiveSpec]
    robustness: RobustnessSpec = RobustnessSpec()
    search: SearchSpec = SearchSpec()
    resources: ResourceSpec = ResourceSpec()

    @field_validator("objectives")
    @classmethod
    def _at_least_one(cls, objectives: dict[str, ObjectiveSpec]) -> dict[str, ObjectiveSpec]:
        if not objectives:
            raise ValueError(f"name at least one of {', '.join(MEASURES)}")
        return objectives

    @cached_property
    def axes(self) -> tuple[Objective, ...]:
        """The objectives, in the order of the YAML."""
        return tuple(Objective(n, o.goal, o.reference) for n, o in self.objectives.items())

    @cached_property
    def search_space(self) -> Space:
        """The space to draw trials from."""
        return self.space.build()

    @property
    def attacked(self) -> bool:
        """Whether an objective asks for the attacks."""
        return not {"robust_worst", "clean_on_attacked"}.isdisjoint(self.objectives)
