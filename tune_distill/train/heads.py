"""A method's train-only modules, as a training starts with them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tune_distill.methods import Method, ModelShape
from tune_distill.methods.heads import Projection


def heads_of(
    method: Method, shapes: tuple[ModelShape, ModelShape], seed: int, basis: Tensor | None
) -> nn.Module | None:
    """The modules, the same for the same seed; a projection undoes what narrowed the student.

    Args:
        method: whose they are.
        shapes: the teacher's and the student's.
        seed: of their random weights; no global generator is moved.
        basis: what the student's states are of the teacher's (`initialise.Report`); None if new.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        heads = method.heads(*shapes)
    for module in heads.modules() if heads is not None else ():
        if isinstance(module, Projection) and basis is not None:
            module.start(basis)
    return heads
