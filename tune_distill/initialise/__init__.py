"""Which weights of its teacher a student starts from.

    initialise(student, teacher, spec) -> Report

Block k of a student is block t(k) of its teacher (`layers`). A narrower student has a narrower
residual stream: chosen coordinates of the teacher's, or its principal directions (`width`); the
embeddings go with it. Heads and units inside a block are merged, compressed or chosen (`attention`,
`blocks`). No data is read. A student of its teacher's own shape is its copy, bit for bit; the
report names every tensor, so that none stays random unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tune_distill.errors import TeacherError
from tune_distill.initialise import blocks
from tune_distill.initialise.blocks import Made
from tune_distill.initialise.layers import sources
from tune_distill.initialise.report import Report, Row
from tune_distill.initialise.width import EMBEDDINGS, Stream, kept, projected, sliced
from tune_distill.spec import StudentSpec
from tune_distill.student import unfit

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Report", "Row", "initialise"]


@torch.no_grad()
def initialise(student: PreTrainedModel, teacher: PreTrainedModel, spec: StudentSpec) -> Report:
    """Gives a student, in place, what it takes from its teacher.

    Args:
        student: a BERT classifier of the spec's shape; what the teacher lacks stays as it is.
        teacher: a BERT classifier, at least as deep and as wide.
        spec: `init` and `init_width` are read.

    Returns:
        Where each of the student's tensors comes from.

    Raises:
        TeacherError: the student can't start from this teacher.
    """
    made: dict[str, Made] = {}
    if spec.init != "random":
        if reasons := unfit(spec, teacher.config):
            raise TeacherError("; ".join(reasons))
        depths = student.config.num_hidden_layers, teacher.config.num_hidden_layers
        made = dict(_tensors(student, teacher, spec, sources(spec.init, *depths)))
    rows = []
    for name, tensor in student.state_dict().items():
        weight = made.pop(name, None)
        if weight is None:
            rows.append(Row(name, tuple(tensor.shape), "new"))
            continue
        if weight.value.shape != tensor.shape:
            raise ValueError(f"{name}: {tuple(weight.value.shape)} for {tuple(tensor.shape)}")
        tensor.copy_(weight.value)
        rows.append(Row(name, tuple(tensor.shape), weight.how, weight.source))
    if made:
        raise ValueError(f"the student has no {', '.join(made)}")
    return Report(tuple(rows))


def _tensors(
    student: PreTrainedModel, teacher: PreTrainedModel, spec: StudentSpec, layers: tuple[int, ...]
) -> Iterator[tuple[str, Made]]:
    """The student's tensors by name, as the teacher gives them."""
    weights = {name: tensor.cpu() for name, tensor in teacher.state_dict().items()}
    shape = student.config
    depth = teacher.config.num_hidden_layers
    stream = _stream(weights, shape.hidden_size, spec)
    given = blocks.Source(weights, teacher.config.num_attention_heads, stream, spec.init_width)
    yield from blocks.embeddings(given)
    for target, layer in enumerate(layers, start=1):
        yield from blocks.block(given, layer, target, shape)
    same_classes = shape.num_labels == teacher.config.num_labels
    yield from blocks.head(given, depth, shape, same_classes=same_classes)


def _stream(weights: Mapping[str, Tensor], width: int, spec: StudentSpec) -> Stream:
    if width == weights[f"{EMBEDDINGS}LayerNorm.weight"].numel():
        return kept(width)
    return (projected if spec.init_width == "project" else sliced)(weights, width)
