"""What a student measures whatever it learns: arithmetic on its config, before it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tune_distill import student
from tune_distill.measure.flops import flops
from tune_distill.measure.size import size_mb

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def known(config: PreTrainedConfig, lengths: NDArray[Any]) -> dict[str, float]:
    """The measures that are known of a draw, by their names in `Outcome`.

    Args:
        config: of a classifier of a family of `student.FAMILIES`.
        lengths: (rows,) tokens of each example, special ones included.
    """
    parameters = student.parameters(config)
    return {
        "size_mb": size_mb(parameters),
        "parameters": parameters,
        "flops": flops(config, lengths),
    }
