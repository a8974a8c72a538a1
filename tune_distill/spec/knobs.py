"""A trial's resolved knobs: what was drawn for its student, its method and its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tune_distill.hardening import HARDENINGS, Hardening
from tune_distill.methods import METHODS, Method
from tune_distill.space import Params

# A rule of `layers.py`, the teacher's blocks themselves ("2,4,6", quoted), or nothing of them.
INIT = r"^(random|uniform|first|last|\d+(,\d+)*)$"
PLAIN = "none"  # in the place of a defence
PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """Base of every model of a study: immutable, and no key that it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StudentSpec(Frozen):
    """The student's architecture, and what it starts from."""

    family: Literal["bert", "distilbert", "roberta", "albert"] = "bert"
    layers: PositiveInt
    hidden_size: PositiveInt
    heads: PositiveInt
    intermediate_size: PositiveInt | None = None  # of the feed-forward blocks
    intermediate_ratio: Annotated[float, Field(gt=0)] | None = None  # the same over hidden_size
    embedding_size: PositiveInt | None = None  # albert's; None: 128, or what fits
    groups: PositiveInt = 1  # albert's: the blocks of a group share their weights
    init: Annotated[str, Field(pattern=INIT)] = "uniform"  # which teacher layers: see INIT
    init_width: Literal["slice", "project"] = "project"  # how a narrower student takes them
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    vocab: PositiveInt | Literal["full"] = "full"  # tokens: as many as train needs most, or all
    checkpoint: str | None = None  # start from this model, hub id or folder, and read its tokens

    @model_validator(mode="after")
    def _one_intermediate(self) -> Self:
        if self.intermediate_size is not None and self.intermediate_ratio is not None:
            raise ValueError("give intermediate_size or intermediate_ratio, not both")
        return self

    def intermediate(self, usual: float) -> int:
        """The width of the feed-forward blocks; `usual` is the teacher's, over its hidden size."""
        if self.intermediate_size is not None:
            return self.intermediate_size
        ratio = usual if self.intermediate_ratio is None else self.intermediate_ratio
        return round(ratio * self.hidden_size)


class TrainSpec(Frozen):
    """How a student is trained."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    batch_size: PositiveInt = 32
    epochs: PositiveInt = 3
    # compute: a defence's passes count, too. Left out of dumps: no teacher's identity hangs on it.
    budget: Literal["epochs", "compute"] = Field(default="epochs", exclude=True)
    warmup: Fraction = 0.1  # share of the updates
    weight_decay: Annotated[float, Field(ge=0)] = 0.01  # not on biases and norms
    clip: Annotated[float, Field(gt=0)] = 1.0  # largest norm of the gradient
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # bfloat16 where the device gains
    seed: Annotated[int, Field(ge=0)] | None = (
        None  # None: the study's seed plus the trial's number
    )


@dataclass(frozen=True)
class TrialConfig:
    """One point of the space, as the objects that a trial is made of."""

    student: StudentSpec
    method: Method
    train: TrainSpec
    robust: Hardening | None = None  # the defence, if there is one

    @property
    def hardening(self) -> Hardening | None:
        """The defence of the student's own training; None where it is its teacher's."""
        return None if self.robust is None or self.robust.of_teacher else self.robust

    @property
    def unlabelled(self) -> bool:
        """Whether it learns from rows without a label, too."""
        return self.method.needs_teacher or bool(self.hardening and self.hardening.unlabelled)

    @classmethod
    def from_params(cls, params: Params) -> TrialConfig:
        """The config of a draw.

        Raises:
            pydantic.ValidationError: the params are not those of one draw.
        """
        name, robust = str(params["method"]), str(params.get("robust", PLAIN))
        return cls(
            student=StudentSpec(**_under("student.", params)),
            method=METHODS[name](**_under(f"method.{name}.", params)),
            train=TrainSpec(**_under("train.", params)),
            robust=None
            if robust == PLAIN
            else HARDENINGS[robust](**_under(f"robust.{robust}.", params)),
        )


def _under(prefix: str, params: Params) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
