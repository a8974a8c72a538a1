"""An ONNX model where a PyTorch one is expected: so that the same code measures and attacks both.

An attack in gradient order needs a gradient, which ONNX hasn't got: it is that of the float32
student (the straight-through gradient), at the ONNX model's own logits. So the identity of an
attack, and the order in which it tries words, are those of the student's trial, and outcomes can be
compared row by row; each text that it tries is still answered by the ONNX model itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from tune_distill.measure.latency import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel


class Served(nn.Module):
    """A classifier in onnxruntime.

    Args:
        path: of the ONNX file.
        twin: the PyTorch model that it was made from; gives the config, and gradients.
        threads: of onnxruntime.
    """

    def __init__(self, path: Path, twin: PreTrainedModel, threads: int = THREADS) -> None:
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._names = [one.name for one in self._session.get_inputs()]
        self.twin, self.config = twin, twin.config

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
        logits = torch.from_numpy(self._session.run(["logits"], arrays)[0])
        if torch.is_grad_enabled():
            smooth = self.twin(**taken).logits
            logits = smooth + (logits - smooth).detach()
        return SequenceClassifierOutput(logits=logits)

    def get_input_embeddings(self) -> nn.Module:
        """The twin's: where an attack looks for its gradient."""
        embeddings: nn.Module = self.twin.get_input_embeddings()
        return embeddings

    def computation(self, inputs: dict[str, Tensor]) -> Callable[[], Any]:
        """What computes these inputs, and nothing besides: for timing."""
        arrays = {name: inputs[name].numpy() for name in self._names}
        return lambda: self._session.run(["logits"], arrays)
