"""The student's tensors, part by part: embeddings, a block, the pooler and the classifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from tune_distill.initialise.attention import Attention, Heads, chosen, merged
from tune_distill.initialise.report import How
from tune_distill.initialise.width import EMBEDDINGS, Stream, strongest

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

POOLER, CLASSIFIER = "bert.pooler.dense", "classifier"
# In the order of Attention's fields.
ATTENTION = tuple(
    f"attention.{part}.{kind}"
    for part in ("self.query", "self.key", "self.value", "output.dense")
    for kind in ("weight", "bias")
)


@dataclass(frozen=True)
class Made:
    """What one of the student's tensors starts as, and what it was made of."""

    value: Tensor
    how: How
    source: str


@dataclass(frozen=True)
class Source:
    """The teacher, and how the student takes from it."""

    weights: Mapping[str, Tensor]
    heads: int
    stream: Stream
    width: Literal["slice", "project"]

    def norm(self, name: str, target: str) -> Iterator[tuple[str, Made]]:
        """A LayerNorm of the stream."""
        for kind, take in (("weight", self.stream.scale), ("bias", self.stream.write)):
            source = f"{name}.{kind}"
            yield f"{target}.{kind}", Made(take(self.weights[source]), self.stream.how, source)


Tensors = Iterator[tuple[str, Made]]


def embeddings(given: Source) -> Tensors:
    """All tables, and their LayerNorm."""
    for table in ("word", "position", "token_type"):
        name = f"{EMBEDDINGS}{table}_embeddings.weight"
        yield name, Made(given.stream.read(given.weights[name]), given.stream.how, name)
    yield from given.norm(f"{EMBEDDINGS}LayerNorm", f"{EMBEDDINGS}LayerNorm")


def block(given: Source, layer: int, target: int, student: PreTrainedConfig) -> Tensors:
    """A block of the student.

    Args:
        given: the teacher.
        layer: the teacher's block, from 1.
        target: the student's block, from 1.
        student: its config.
    """
    source, name = _block(layer), _block(target)
    yield from _attention(given, layer, name, student)
    yield from given.norm(
        f"{source}attention.output.LayerNorm", f"{name}attention.output.LayerNorm"
    )
    yield from _feed_forward(given, source, name, student.intermediate_size)
    yield from given.norm(f"{source}output.LayerNorm", f"{name}output.LayerNorm")


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
    bias = stream.read_bias(weight, given.weights[f"{POOLER}.bias"], _constant(given, depth))
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
    source, stream = _block(layer), given.stream
    own = Attention(*(given.weights[f"{source}{name}"] for name in ATTENTION))
    width = own.query.shape[1]
    teacher = Heads(given.heads, width // given.heads)
    wanted = Heads(student.num_attention_heads, student.hidden_size // student.num_attention_heads)
    how: How = "copied"
    if wanted != teacher:
        how = "projected" if given.width == "project" else "sliced"
        change = merged if given.width == "project" else chosen
        own = change(_over(stream, own, _constant(given, layer - 1)), teacher, wanted)
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


def _constant(given: Source, layer: int) -> Tensor:
    """The bias of the LayerNorm that ends a teacher's block; of the embeddings for 0."""
    before = f"{_block(layer)}output." if layer else EMBEDDINGS
    return given.weights[f"{before}LayerNorm.bias"]


def _block(layer: int) -> str:
    return f"bert.encoder.layer.{layer - 1}."
