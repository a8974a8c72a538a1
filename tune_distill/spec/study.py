"""The models of a study's YAML, section by section."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tune_distill.methods import METHODS, Method
from tune_distill.outcome import MEASURES, Goal, Objective
from tune_distill.space import Constant, Space
from tune_distill.spec import enqueue
from tune_distill.spec.bounds import Bound
from tune_distill.spec.knobs import Fraction, Frozen, PositiveInt, TrainSpec
from tune_distill.spec.problems import did_you_mean
from tune_distill.spec.space import MethodSpace, SpaceSpec, nodes


def _measure(name: str) -> str:
    if name not in MEASURES:
        raise ValueError(
            f"unknown measure; a trial has {', '.join(MEASURES)}{did_you_mean(name, MEASURES)}"
        )
    return name


Measure = Annotated[str, AfterValidator(_measure)]
ATTACKED = ("robust_worst", "clean_on_attacked")  # measures of the attacks
METRICS = ("accuracy", "f1", "mcc", "f1_micro", "f1_macro", "pearson", "spearman")

FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class FilesSpec(Frozen):
    """Local files: parquet, CSV, TSV or JSON lines."""

    train: str
    validation: str
    more: dict[FileName, str] = Field(default_factory=dict)  # further held-out files, by name


class TaskSpec(Frozen):
    """What is classified: exactly one of `builtin`, `dataset`, `files`."""

    builtin: Literal["reviews"] | None = None
    dataset: str | None = None  # a data set of the Hugging Face hub; `glue/sst2` is path/config
    files: FilesSpec | None = None
    text: str | tuple[str, str] | None = None  # the text column, or the two of a pair
    label: str | tuple[str, ...] = "label"  # the label column; several of 0 and 1: multi-label
    metric: str | tuple[str, ...] | None = None  # None: the task's own; the first is the objective
    unlabelled: str | None = None  # a file of further texts for the teacher to label; .txt too
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

    @field_validator("label")
    @classmethod
    def _columns(cls, label: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(label, str) and (len(label) < 2 or len(set(label)) < len(label)):
            raise ValueError("a list names two or more different columns of 0 and 1")
        return label

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        names = (metric,) if isinstance(metric, str) else metric
        if names is not None and (not names or len(set(names)) < len(names)):
            raise ValueError("a list names one or more different metrics, the objective's first")
        for name in names or ():
            if name not in METRICS:
                near = did_you_mean(name, METRICS)
                raise ValueError(f"unknown metric {name!r}; there are {', '.join(METRICS)}{near}")
        return metric


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


class GeneralSpec(Frozen):
    """A phase on unlabelled text before the task, taught by a masked language model."""

    text: str  # a file: .txt with one text a line, parquet, CSV, TSV, JSON lines
    column: str = "text"  # of texts, but for .txt
    max_rows: PositiveInt | None = None
    masked_lm: str  # the model that the teacher was fine-tuned from: hub id or folder
    method: MethodSpace = MethodSpace(  # type: ignore[valid-type, call-arg]
        distilbert={"temperature": 2.0, "alpha": 5 / 7, "beta": 1 / 7}  # published: 5 : 2 : 1
    )
    train: TrainSpec = TrainSpec(learning_rate=5e-4, epochs=1, warmup=0.05)

    @model_validator(mode="after")
    def _nothing_is_searched(self) -> Self:
        if len(self._knobs) != 1:
            raise ValueError(f"give one method; got {', '.join(self._knobs)}")
        for name, knobs in self._knobs.items():
            for knob, node in knobs.items():
                if not isinstance(node, Constant):
                    raise ValueError(f"method.{name}.{knob}: give one value; nothing is searched")
        return self

    @property
    def taught(self) -> Method:
        """The method, its classes being the words of the vocabulary."""
        ((name, knobs),) = self._knobs.items()
        return METHODS[name](**{knob: node.value for knob, node in knobs.items()})

    @property
    def _knobs(self) -> dict[str, dict[str, Any]]:
        return {name: nodes(one) for name, one in nodes(self.method).items() if one is not None}


# The keys of robustness.ATTACKS, which lies above this layer; a test holds them equal.
ATTACK_NAMES = ("char", "pruthi", "table", "wordnet", "bae", "textbugger")


def _attack(name: str) -> str:
    if name not in ATTACK_NAMES:
        near = did_you_mean(name, ATTACK_NAMES)
        raise ValueError(f"unknown attack; there are {', '.join(ATTACK_NAMES)}{near}")
    return name


class AttackResources(Frozen):
    """What attacks on whole words read."""

    table: str | None = None  # a file of neighbours; None: the built-in corpus has its own
    wordnet: str | None = None  # WordNet's dict folder, or a file of synonyms
    masked_lm: str | None = None  # hub id or folder


class RobustnessSpec(Frozen):
    """The attacks behind `robust_worst`."""

    attacks: tuple[Annotated[str, AfterValidator(_attack)], ...] = ("char",)
    profile: Literal["lax", "strict"] = "lax"  # how far a text may be changed
    order: Literal["gradient", "unk", "delete", "random", "saliency"] | None = None  # of the words
    rows: int | str = 400  # fixed, stratified ones of the search split; or a file's, as they are
    budget: PositiveInt | None = 30  # queries a row; null: as many as it takes
    resources: AttackResources = AttackResources()

    @field_validator("rows")
    @classmethod
    def _some(cls, rows: int | str) -> int | str:
        if not isinstance(rows, str) and rows < 1:
            raise ValueError(f"a number of rows, 1 or more, or a file of rows; got {rows}")
        return rows

    @property
    def static(self) -> str | None:
        """The file of rows that are scored as they are; None where rows are attacked."""
        return self.rows if isinstance(self.rows, str) else None

    @field_validator("attacks")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) < len(names):
            raise ValueError(f"name at least one of {', '.join(ATTACK_NAMES)}, each once")
        return names


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
    max_minutes_per_trial: Annotated[float, Field(gt=0)] | None = None  # then stopped: PRUNED
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
    sampler: Literal["tpe", "nsga2", "nsga3", "gp", "random", "qmc"] = "tpe"
    seed: Annotated[int, Field(ge=0)] = 0
    enqueue: tuple[str, ...] = ()  # published settings to try first: pkd:sst2, lad:rte, tinybert
    known: str | None = Field(default=None, alias="from")  # an earlier study: its name or folder
    max_hours: Annotated[float, Field(gt=0)] | None = None  # of a run; no trial starts later
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
    def _constraints_are_measured(self) -> Self:
        for at, bound in enumerate(self.bounds):
            if bound.measure in ATTACKED and not self.attacked:
                raise ValueError(
                    f"constraints.{at}: {bound} bounds what no trial of this study measures: "
                    f"attacks run where {' or '.join(ATTACKED)} is an objective"
                )
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
