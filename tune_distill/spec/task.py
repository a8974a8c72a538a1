"""What is classified: the `task` section of a study."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tune_distill.spec.knobs import Frozen, PositiveInt
from tune_distill.spec.problems import did_you_mean

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
    label_share: Annotated[float, Field(gt=0, le=1)] | None = None  # of train rows keeps its label
    labelled_rows: PositiveInt | None = None  # the same as a number; the others are unlabelled
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

    @model_validator(mode="after")
    def _one_number_of_labels(self) -> Self:
        if self.label_share is not None and self.labelled_rows is not None:
            raise ValueError("give label_share or labelled_rows, not both")
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
