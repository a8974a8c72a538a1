"""Pydantic's errors as one line a mistake: where, what was got, what would work."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line for each mistake in a document that was read as `model`."""
    return [_line(e["loc"], e["type"], e["msg"], e.get("input"), model) for e in error.errors()]


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`(did you mean temperature?)` behind a misspelt name; empty where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _line(
    loc: tuple[int | str, ...],
    kind: str,
    message: str,
    got: Any,  # noqa: ANN401 - whatever YAML holds
    model: type[BaseModel],
) -> str:
    path = ".".join(str(step) for step in loc if step != "[key]") or "study"
    if kind == "extra_forbidden":
        *parents, name = map(str, loc)
        known = _fields(model, parents)
        where, what = _called(parents)
        listed = ", ".join(known) if known else "none"
        return f"{path}: unknown {what}; {where} takes {listed}{did_you_mean(name, known)}"
    if kind == "missing":
        return f"{path}: missing"
    text = message.removeprefix("Value error, ")
    shown = "" if kind == "value_error" else f", got {got!r}"
    return f"{path}: {text}{shown}"


def _called(parents: Sequence[str]) -> tuple[str, str]:
    """What the model at `parents` is called, and what its keys are."""
    if list(parents) in (["space", "method"], ["space", "robust"]):
        return ".".join(parents), "method" if parents[-1] == "method" else "defence"
    if "space" in parents:
        return parents[-1], "knob"
    return (parents[-1] if parents else "a study"), "key"


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The field names of the model found at `path` under `model`."""
    for name in path:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else model
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {dict, types.UnionType} or get_args(annotation):
        return next(filter(None, map(_model_in, get_args(annotation))), None)
    return None
