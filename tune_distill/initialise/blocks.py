"""The student's tensors, part by part: a block, the pooler and the classifier."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from torch import Tensor

from tune_distill import families
from tune_distill.initialise.attention import Attention, Heads, chosen, merged
from tune_distill.initialise.made import Made, Source, Tensors, norm
from tune_distill.initialise.names import CLASSIFIER, POOLER
from tune_distill.initialise.names import block as prefix
from tune_distill.initialise.report import How
from tune_distill.initialise.width import Stream, strongest

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# In the order of Attention's fields.
ATTENTION = tuple(
    f"attention.{part}.{kind}"
    for part in ("self.query", "self.key", "self.value", "output.dense")
    for kind in ("weight", "bias")
)


def block(given: Source, layer: int, target: int, student: PreTrainedConfig) -> Tensors:
    """A block of the student.

    Args:
        given: the teacher.
        layer: the teacher's block, from 1.
        target: the student's block, from 1.
        student: its config.
    """
    source, name = prefix(layer), prefix(target)
    yield from _attention(given, layer, name, student)
    yield from _norm(given, source, name, "attention.output.LayerNorm")
    yield from _feed_forward(given, source, name, families.inner(student) or 0)
    yield from _norm(given, source, name, "output.LayerNorm")


def head(given: Source, depth: int, student: PreTrainedConfig, *, same_classes: bool) -> Tensors:
    """The pooler, whose units are chosen, and the classifier unless the classes are others.

    Args:
        given: the teacher.
        depth: how many blocks the teacher has.
        student: its config.
        same_classes: whether both have as many.
    """
    stream, weight = given.stream, given.weights[f"{POOLER}.weight"]
    pooler, classes = stream.read(weight), given.weights[f"{CLASSIFIER}.weight"]
    bias = stream.read_bias(weight, given.weights[f"{POOLER}.bias"], given.constant(depth))
    moves = classes - classes.mean(0) if len(classes) > 1 else classes
    units = strongest(pooler.norm(dim=1) * moves.norm(dim=0), student.hidden_size)
    yield f"{POOLER}.weight", Made(pooler[units], stream.how, f"{POOLER}.weight")
    yield f"{POOLER}.bias", Made(bias[units], stream.how, f"{POOLER}.bias")
    if same_classes:
        how: How = "copied" if stream.whole else "sliced"
        yield f"{CLASSIFIER}.weight", Made(classes[:, units], how, f"{CLASSIFIER}.weight")
        name = f"{CLASSIFIER}.bias"
        yield name, Made(given.weights[name], "copied", name)


def _attention(given: Source, layer: int, target: str, student: PreTrainedConfig) -> Tensors:
    source, stream = prefix(layer), given.stream
    own = Attention(*(given.weights[f"{source}{name}"] for name in ATTENTION))
    width = own.query.shape[1]
    teacher = Heads(given.heads, width // given.heads)
    wanted = Heads(student.num_attention_heads, student.hidden_size // student.num_attention_heads)
    how: How = "copied"
    if wanted != teacher:
        how = "projected" if given.width == "project" else "sliced"
        change = merged if given.width == "project" else chosen
        own = change(_over(stream, own, given.constant(layer - 1)), teacher, wanted)
    for name, field in zip(ATTENTION, fields(own), strict=True):
        yield f"{target}{name}", Made(getattr(own, field.name), how, f"{source}{name}")


def _over(stream: Stream, own: Attention, constant: Tensor) -> Attention:
    """A block's attention over the student's residual stream, in float64."""
    return Attention(
        query=stream.read(own.query).double(),
        query_bias=stream.read_bias(own.query, own.query_bias, constant).double(),
        key=stream.read(own.key).double(),
        key_bias=stream.read_bias(own.key, own.key_bias, constant).double(),
        value=stream.read(own.value).double(),
        value_bias=stream.read_bias(own.value, own.value_bias, constant).double(),
        output=stream.write(own.output).double(),
        output_bias=stream.write(own.output_bias).double(),
    )


def _feed_forward(given: Source, source: str, target: str, inner: int) -> Tensors:
    """The units with the largest weights."""
    stream, names = given.stream, [f"{part}.dense" for part in ("intermediate", "output")]
    first, second = (given.weights[f"{source}{name}.weight"] for name in names)
    first_bias, second_bias = (given.weights[f"{source}{name}.bias"] for name in names)
    constant = given.weights[f"{source}attention.output.LayerNorm.bias"]
    first_bias = stream.read_bias(first, first_bias, constant)
    first, second = stream.read(first), stream.write(second)
    units = strongest(first.norm(dim=1) * second.norm(dim=0), inner)
    how: How = "sliced" if stream.whole and inner < len(first) else stream.how
    for name, value, made in (
        ("intermediate.dense.weight", first[units], how),
        ("intermediate.dense.bias", first_bias[units], how),
        ("output.dense.weight", second[:, units], how),
        ("output.dense.bias", stream.write(second_bias), stream.how),
    ):
        yield f"{target}{name}", Made(value, made, f"{source}{name}")


def _norm(given: Source, source: str, target: str, name: str) -> Tensors:
    return norm(given.weights, given.stream, f"{source}{name}", f"{target}{name}")
