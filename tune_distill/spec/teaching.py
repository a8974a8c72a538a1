"""Who teaches: the `teacher` and `general` sections of a study."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tune_distill.hardening import Hardening
from tune_distill.hardening.ganbert import GanBert
from tune_distill.methods import METHODS, Method
from tune_distill.space import Constant
from tune_distill.spec.knobs import Fraction, Frozen, PositiveInt, TrainSpec
from tune_distill.spec.space import MethodSpace, RobustSpaces, nodes

GanBertSpace = RobustSpaces[GanBert.name]


class FitSpec(Frozen):
    """How a teacher is fine-tuned on the task."""

    base: str  # a pre-trained model: hub id or folder
    learning_rate: Annotated[float, Field(gt=0)] = 3e-5
    batch_size: PositiveInt = 32
    epochs: PositiveInt = 3
    warmup: Fraction = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    seed: int = 0
    # Learn from rows without a label, too; {}: as published.
    ganbert: GanBertSpace | None = None  # type: ignore[valid-type]

    @property
    def adversary(self) -> Hardening | None:
        """GAN-BERT, where the fine-tuning is one."""
        if self.ganbert is None:
            return None
        made = GanBert(**{knob: node.value for knob, node in nodes(self.ganbert).items()})
        return made.in_teacher() if made.of_teacher else made

    @field_validator("ganbert")
    @classmethod
    def _nothing_is_searched(cls, ganbert: Frozen | None) -> Frozen | None:
        for knob, node in nodes(ganbert).items() if ganbert else ():
            if not isinstance(node, Constant):
                raise ValueError(f"{knob}: give one value; nothing of a teacher is searched")
        return ganbert


class HardenSpec(Frozen):
    """How a teacher is fine-tuned further with a defence of the stage `teacher`."""

    learning_rate: Annotated[float, Field(gt=0)] | None = None  # None: the teacher's own, or 3e-5
    batch_size: PositiveInt = 32
    epochs: PositiveInt = 2
    warmup: Fraction = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    seed: int = 0


class TeacherSpec(Frozen):
    """The teacher: exactly one of `model`, `fit`, `builtin`."""

    model: str | None = None  # a fine-tuned sequence classifier: hub id or folder
    fit: FitSpec | None = None
    builtin: Literal["small"] | None = None  # a small BERT, trained from scratch
    harden: HardenSpec = HardenSpec()  # further, with a defence of the stage teacher
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
