"""Which weights of its teacher a student starts from.

    initialise(student, teacher, spec) -> Report

Block k of a student is block t(k) of its teacher (`layers`). A narrower student has a narrower
residual stream: chosen coordinates of the teacher's, or its principal directions (`width`); the
embeddings go with it (`embeddings`). Heads and units inside a block are merged, compressed or
chosen (`attention`, `blocks`). Both models are dealt with as if they were BERT (`names`), so that a
student of any family starts from a teacher of any. Blocks that share their weights start from the
mean of what each would have been. No data is read. A student of its teacher's own shape and family
is its copy, bit for bit; the report names every tensor, so that none stays random unseen.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

from tune_distill import families
from tune_distill.errors import TeacherError
from tune_distill.initialise import blocks, names
from tune_distill.initialise.embeddings import embeddings, multiplied_out
from tune_distill.initialise.made import Made, Source, Tensors, shared
from tune_distill.initialise.report import Report, Row
from tune_distill.initialise.width import kept, projected, sliced
from tune_distill.layers import mapping
from tune_distill.spec import StudentSpec
from tune_distill.student import unfit

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

__all__ = ["Report", "Row", "initialise"]


@torch.no_grad()
def initialise(student: PreTrainedModel, teacher: PreTrainedModel, spec: StudentSpec) -> Report:
    """Gives a student, in place, what it takes from its teacher.

    Args:
        student: a classifier of the spec's family and shape; what the teacher lacks stays as it is.
        teacher: a classifier of a family of `families.FAMILIES`, at least as deep and as wide.
        spec: `init` and `init_width` are read.

    Returns:
        Where each of the student's tensors comes from.

    Raises:
        TeacherError: the student can't start from this teacher.
    """
    if spec.init == "random":
        return _filled(student, {}, None)
    if reasons := unfit(spec, teacher.config):
        raise TeacherError("; ".join(reasons))
    given = _source(student.config, teacher, spec)
    made = _own(_tensors(given, student.config, teacher.config, spec.init), student, teacher)
    return _filled(student, made, given.stream.basis)


def _source(student: PreTrainedConfig, teacher: PreTrainedModel, spec: StudentSpec) -> Source:
    weights, eps = names.read(teacher), getattr(teacher.config, "layer_norm_eps", 1e-12)
    wide = f"{names.FACTOR}.weight" in weights and not families.of(student).factor
    if wide:
        weights = multiplied_out(weights, eps)
    width = student.hidden_size
    if width == teacher.config.hidden_size:
        stream = kept(width)
    else:
        stream = (projected if spec.init_width == "project" else sliced)(weights, width)
    heads = teacher.config.num_attention_heads
    return Source(weights, heads, stream, spec.init_width, eps, multiplied_out=wide)


def _tensors(
    given: Source, student: PreTrainedConfig, teacher: PreTrainedConfig, init: str
) -> Tensors:
    """The student's tensors, as the teacher gives them."""
    depth = teacher.num_hidden_layers
    yield from embeddings(given, student)
    for target, layer in enumerate(mapping(init, student.num_hidden_layers, depth), start=1):
        yield from blocks.block(given, layer, target, student)
    same_classes = student.num_labels == teacher.num_labels
    yield from blocks.head(given, depth, student, same_classes=same_classes)


def _own(tensors: Tensors, student: PreTrainedModel, teacher: PreTrainedModel) -> dict[str, Made]:
    """The tensors under the student's own names, made of the teacher's under its own."""
    ours, theirs = names.own(student.config), names.own(teacher.config)
    found: dict[str, list[Made]] = defaultdict(list)
    for name, made in tensors:
        sources = [theirs[source] for source in made.source.split(" + ") if source]
        found[ours[name]].append(Made(made.value, made.how, " + ".join(sources)))
    return {name: shared(made) for name, made in found.items()}


def _filled(student: PreTrainedModel, made: dict[str, Made], basis: torch.Tensor | None) -> Report:
    rows = []
    for name, tensor in student.state_dict().items():
        weight = made.pop(name, None)
        if weight is None:
            rows.append(Row(name, tuple(tensor.shape), "new"))
            continue
        if weight.value.shape != tensor.shape:
            raise ValueError(f"{name}: {tuple(weight.value.shape)} for {tuple(tensor.shape)}")
        tensor.copy_(weight.value)
        rows.append(Row(name, tuple(tensor.shape), weight.how, weight.source or None))
    if made:
        raise ValueError(f"the student has no {', '.join(made)}")
    return Report(tuple(rows), basis)
