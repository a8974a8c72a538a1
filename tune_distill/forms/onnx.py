"""A student as ONNX: float32 by torch.onnx, held against PyTorch; int8 by onnxruntime.

    onnx/model.onnx             float32, for onnxruntime and optimum
    onnx/model_quantized.onnx   int8; the names are those that transformers.js looks for

The exporter is the one that traces (`dynamo=False`), with eager attention. Of BERT, DistilBERT,
RoBERTa and ALBERT both of torch's exporters compute what PyTorch does (to 1e-7 on batches of other
shapes); the newer one takes 20 times as long, and onnxruntime can't quantise what it writes
("Inferred shape and existing shape differ"). A trace may have frozen a shape, so none is believed:
`verify` asks for batches of other shapes, padded and not.

int8 is dynamic: weights (embeddings too) are 8-bit numbers with a scale a channel, activations are
scaled as they come, a tensor at a time. So an int8 model's answer to a text depends a little on
what shares its batch, and all that we say of one is of a text at a time. Weights keep to 7 of the 8
bits: with all, x86 processors without VNNI saturate, and figures would hold on one machine alone.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tune_distill import families
from tune_distill.errors import ExportMismatch, SpecError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FLOAT, INT8 = "onnx/model.onnx", "onnx/model_quantized.onnx"
TOLERANCE = 1e-4  # of a logit; of the largest one, where that is above 1
OPSET = 17
_EXTRA = ("onnx", "onnxruntime")
_WIDER = 5  # tokens of padding that the export's sample has not

Inputs = Mapping[str, Tensor]


def require(option: str) -> None:
    """Raises SpecError, saying what to install, where ONNX's packages are not there."""
    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise SpecError(
            f"{option}: {' and '.join(missing)} not installed; "
            "pip install 'tune-distill[onnx]' brings what is needed"
        )


class _Logits(nn.Module):
    """A classifier whose inputs go by place, as tracing wants them."""

    def __init__(self, model: PreTrainedModel, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """(batch, classes)."""
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def write_onnx(model: PreTrainedModel, inputs: Inputs, path: Path) -> None:
    """Writes a classifier as float32 ONNX, its batch and its sequence of any length.

    Args:
        model: in float32 and on the CPU.
        inputs: of a few rows: (rows, width) each; two of them are traced.
        path: the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names, before = tuple(inputs), model.config._attn_implementation
    traced = _Logits(model, names).eval()  # fresh modules train, and would draw dropout
    model.set_attn_implementation("eager")
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # That it is the older exporter, and that a trace may be wrong: see above.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                traced,
                tuple(tensor[:2] for tensor in inputs.values()),
                str(path),
                input_names=list(names),
                output_names=["logits"],
                dynamic_axes={
                    **{name: {0: "batch_size", 1: "sequence_length"} for name in names},
                    "logits": {0: "batch_size"},
                },
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        model.set_attn_implementation(before)


def verify(onnx: nn.Module, model: PreTrainedModel, inputs: Inputs) -> float:
    """The largest difference from PyTorch, over batches of other shapes than the exported one.

    Args:
        onnx: what answers for the file (`served.Served`).
        model: that was exported.
        inputs: the rows that were traced.

    Raises:
        ExportMismatch: it is more than TOLERANCE.
    """
    worst = 0.0
    with torch.inference_mode():
        for batch in shapes(inputs, families.positions(model.config)):
            expected = model(**batch).logits
            error = float((onnx(**batch).logits - expected).abs().max())
            allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
            if not error <= allowed:
                rows, width = batch["input_ids"].shape
                raise ExportMismatch(
                    f"ONNX logits differ from PyTorch's by {error:.1e} on a padded batch of "
                    f"{rows} x {width} tokens (allowed {allowed:.0e}); nothing was written"
                )
            worst = max(worst, error)
    return worst


def shapes(inputs: Inputs, positions: int) -> Iterator[dict[str, Tensor]]:
    """The rows in batches of other shapes: each alone, all of them, and all with more padding.

    Args:
        inputs: (rows, width) each, padded on the right.
        positions: the most tokens that the model can read.
    """
    lengths = inputs["attention_mask"].sum(dim=1).tolist()
    for row, length in enumerate(lengths):
        yield {name: tensor[row : row + 1, :length] for name, tensor in inputs.items()}
    yield dict(inputs)
    rows, width = inputs["input_ids"].shape
    more = min(_WIDER, positions - width)
    if more > 0:
        wider = {name: nn.functional.pad(tensor, (0, more)) for name, tensor in inputs.items()}
        yield {name: tensor[: rows - 1] for name, tensor in wider.items()}


def quantise(source: Path, path: Path) -> None:
    """Writes the int8 model of a float32 one."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _root_logger_untouched():
        quantize_dynamic(
            source, path, weight_type=QuantType.QInt8, per_channel=True, reduce_range=True
        )


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """Keep the root logger as it is: onnxruntime warns through it, and it gets a handler for good.

    What it warns of, that the graph was not pre-processed, changes nothing here.
    """
    root, before = logging.getLogger(), logging.root.manager.disable
    handlers = list(root.handlers)
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
        root.handlers[:] = handlers
