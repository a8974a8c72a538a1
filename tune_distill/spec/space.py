"""The `space` of a study: each knob of `knobs.py` and of the methods, as a value or a range.

The models here are derived from the knobs themselves, so that a new knob is searchable the moment
it exists, and every value that a range can reach is checked against the knob's own type.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError, create_model, model_validator

from tune_distill.hardening import HARDENINGS, Hardening
from tune_distill.methods import METHODS, Method
from tune_distill.space import (
    Branch,
    Choice,
    Constant,
    Distribution,
    Divisors,
    IntRange,
    Params,
    Space,
    parse,
)
from tune_distill.spec.knobs import PLAIN, Frozen, StudentSpec, TrainSpec

READINGS = 64  # ways to read the task's text, at most
_REQUIRED: Any = ...


def _knob(kind: Any, default: Any) -> Any:  # noqa: ANN401 - types and their values
    """A field that holds a distribution over `kind`."""
    adapter = TypeAdapter(kind)

    def read(node: Any) -> Distribution:  # noqa: ANN401 - whatever YAML holds
        distribution = parse(node)
        for value in distribution.ends():
            try:
                adapter.validate_python(value, strict=True)
            except ValidationError as error:
                wrong = (each["msg"].removeprefix("Input ") for each in error.errors())
                told = " or ".join(dict.fromkeys(wrong))  # one for each type that it may have
                raise ValueError(f"{value!r} will not do: it {told}{_hint(value)}") from None
        return distribution

    default = default if default is _REQUIRED else Constant(default)
    return (Annotated[Any, BeforeValidator(read)], default)


def _hint(value: object) -> str:
    try:
        number = isinstance(value, str) and float(value)
    except ValueError:
        return ""
    return " (YAML reads it as text: a float needs a point, as in 2.0e-5)" if number else ""


def _space_of(knobs: type[Frozen]) -> type[Frozen]:
    fields = {
        name: _knob(
            Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation,
            _REQUIRED if info.is_required() else info.default,
        )
        for name, info in knobs.model_fields.items()
    }
    model: type[Frozen] = create_model(f"{knobs.__name__}Space", __base__=Frozen, **fields)
    return model


def _space_of_option(option: type[Method] | type[Hardening]) -> type[Frozen]:
    hints = get_type_hints(option, include_extras=True)
    fields = {f.name: _knob(hints[f.name], f.default) for f in dataclasses.fields(option)}
    model: type[Frozen] = create_model(f"{option.name}Space", __base__=Frozen, **fields)
    return model


StudentSpace = _space_of(StudentSpec)
TrainSpace = _space_of(TrainSpec)
MethodSpaces = {name: _space_of_option(method) for name, method in METHODS.items()}
RobustSpaces: dict[str, type[Frozen]] = {
    PLAIN: Frozen,
    **{name: _space_of_option(defence) for name, defence in HARDENINGS.items()},
}


class _OneOrMore(Frozen):
    """Base of a branch's model: `method: kd` and `method: [finetune, kd]` are read, too."""

    what: ClassVar[str] = "method"

    @model_validator(mode="before")
    @classmethod
    def _names(cls, data: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
        if isinstance(data, str):
            data = [data]
        if isinstance(data, list):
            data = {str(name): {} for name in data}
        if not data:
            raise ValueError(f"name at least one {cls.what} of {', '.join(cls.model_fields)}")
        return {n: {} if knobs is None else knobs for n, knobs in data.items()}


MethodSpace: type[Frozen] = create_model(
    "MethodSpace",
    __base__=_OneOrMore,
    **{name: (model | None, None) for name, model in MethodSpaces.items()},  # type: ignore[call-overload]
)


class _Robust(_OneOrMore):
    what: ClassVar[str] = "defence"


RobustSpace: type[Frozen] = create_model(
    "RobustSpace",
    __base__=_Robust,
    **{name: (model | None, None) for name, model in RobustSpaces.items()},  # type: ignore[call-overload]
)


class SpaceSpec(Frozen):
    """What is searched: the student, the method, the defence, the training."""

    student: StudentSpace  # type: ignore[valid-type]
    method: MethodSpace  # type: ignore[valid-type]
    robust: RobustSpace = RobustSpace.model_validate(PLAIN)  # type: ignore[valid-type]
    train: TrainSpace = TrainSpace()  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _heads_can_divide(self) -> SpaceSpec:
        student = nodes(self.student)
        heads = every(student["heads"])
        for width in every(student["hidden_size"]):
            if not any(int(width) % int(h) == 0 for h in heads):
                raise ValueError(
                    f"student.heads: none of {list(heads)} divides hidden_size {width}"
                )
        return self

    @model_validator(mode="after")
    def _few_readings(self) -> SpaceSpec:
        student = nodes(self.student)
        count = len(every(student["vocab"])) * len(every(student["checkpoint"]))
        if count > READINGS:
            raise ValueError(
                f"student: {count:,} combinations of vocab and checkpoint, and the task's text is "
                f"prepared for each; at most {READINGS} will do: a list, or a range with a step"
            )
        return self

    def build(self) -> Space:
        """The space to draw from, in the order student, method, robust, train."""
        student = nodes(self.student)
        entries: dict[str, Distribution | Divisors | Branch] = {
            f"student.{name}": node for name, node in student.items()
        }
        entries["student.heads"] = Divisors(every(student["heads"]), of="student.hidden_size")
        entries["method"], entries["robust"] = branch(self.method), branch(self.robust)
        train = nodes(self.train)
        return Space(entries | {f"train.{name}": node for name, node in train.items()})


def nodes(model: Frozen) -> dict[str, Any]:
    """The fields of a model, by name: mypy knows none of a model that is made at run time."""
    return dict(model)


def branch(model: Frozen) -> Branch:
    """The options that are named, each with its knobs."""
    return Branch({name: nodes(knobs) for name, knobs in nodes(model).items() if knobs is not None})


def every(distribution: Distribution) -> tuple[Any, ...]:
    """All values of a discrete distribution."""
    match distribution:
        case Constant(value):
            return (value,)
        case IntRange(low, high, step):
            return tuple(range(low, high + 1, step))
        case Choice(values):
            return values
    raise ValueError(f"heads and hidden_size take integers, got {distribution}")


def as_yaml(params: Params) -> dict[str, Any]:
    """The `space` of a study that holds this one draw: every knob a constant."""
    tree: dict[str, Any] = {"student": {}, "method": {str(params["method"]): {}}, "train": {}}
    if "robust" in params:
        tree["robust"] = {str(params["robust"]): {}}
    for path, value in params.items():
        *groups, knob = path.split(".")
        if groups and value is not None:
            node = tree
            for group in groups:
                node = node[group]
            node[knob] = value
    return tree


def reproduction(document: Mapping[str, Any], number: int, params: Params) -> dict[str, Any]:
    """The study that holds one trial: every knob a constant, the seed included."""
    kept = {k: v for k, v in document.items() if k not in {"search", "name", "space"}}
    return {"name": f"{document['name']}-trial-{number}", **kept, "space": as_yaml(params)}
