"""An ONNX model where a PyTorch one is expected: so that the same code measures and attacks both.

An attack in gradient order needs a gradient, which ONNX hasn't got: it is that of the float32
student (the straight-through gradient), at the ONNX model's own logits. So the identity of an
attack, and the order in which it tries words, are those of the student's trial, and outcomes can be
compared row by row; each text that it tries is still answered by the ONNX model itself.

int8 is asked for one text at a time (`alone`): in a batch its answers depend on what shares it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from tune_distill import families
from tune_distill.measure.latency import THREADS, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from tune_distill.tasks import Encoded


class Served(nn.Module):
    """A classifier in onnxruntime.

    Args:
        path: of the ONNX file.
        twin: the PyTorch model that it was made from; gives the config, and gradients.
        alone: whether it reads the texts of a batch one by one, each without its padding.
        threads: of onnxruntime.
    """

    def __init__(
        self,
        path: Path,
        twin: PreTrainedModel,
        *,
        alone: bool = False,
        threads: int = THREADS,
    ) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._names = [one.name for one in self._session.get_inputs()]
        self.twin, self.config, self._alone = twin, twin.config, alone

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> SequenceClassifierOutput:
        """Logits: (batch, classes)."""
        given = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
        }
        taken = {name: given[name] for name in self._names}
        arrays = {name: one.numpy() for name, one in taken.items() if one is not None}
        logits = torch.from_numpy(self._logits(arrays, attention_mask.numpy() > 0))
        if torch.is_grad_enabled():
            smooth = self.twin(**taken).logits
            logits = smooth + (logits - smooth).detach()
        return SequenceClassifierOutput(logits=logits)

    def get_input_embeddings(self) -> nn.Module:
        """The twin's: where an attack looks for its gradient."""
        embeddings: nn.Module = self.twin.get_input_embeddings()
        return embeddings

    def _logits(
        self, arrays: dict[str, NDArray[np.int64]], real: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(batch, classes); `real` (batch, width) tells tokens from padding."""
        batches = [arrays]
        if self._alone:
            batches = [
                {name: one[row][None, mask] for name, one in arrays.items()}
                for row, mask in enumerate(real)
            ]
        return np.concatenate([self._session.run(["logits"], one)[0] for one in batches])

    def computation(self, inputs: dict[str, Tensor]) -> Callable[[], Any]:
        """What computes these inputs, and nothing besides: for timing."""
        arrays = {name: inputs[name].numpy() for name in self._names}
        return lambda: self._session.run(["logits"], arrays)


def computations(form: nn.Module, rows: Encoded) -> list[Callable[[], object]]:
    """What computes each of the texts that a latency is taken over.

    Args:
        form: a PyTorch model or a `Served` one.
        rows: of which the texts are a sample, from the shortest to the longest.
    """
    texts = [rows.batch(np.array([row])).inputs() for row in sample(rows.lengths)]
    if isinstance(form, Served):
        return [form.computation(inputs) for inputs in texts]
    return [partial(form, **families.taken(form, inputs)) for inputs in texts]
