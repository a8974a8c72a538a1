"""The model under attack, asked about many texts at once.

Texts are encoded in one call, the distinct ones sorted by length and cut into forward passes of a
bounded number of tokens, each padded to its own longest row. Always float32 weights and logits,
eval mode, no autocast; the model's mode, its gradients and its hooks are left as found.

    margin = z_gold - max over the other classes of z          below 0: the model is wrong
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_distill import families
from tune_distill.errors import DataError
from tune_distill.robustness.pieces import Encoded, Pieces, read
from tune_distill.signals.last_block import first_token_alone

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

CHUNK = 4096  # texts whose encodings, some kilobytes each, are in memory at once
TOKEN_BUDGET = 4096  # padded tokens a forward pass
TOKEN_BUDGET_CPU = 1024  # activations that stay in its caches: a fourth faster at 384 wide


class Scorer:
    """The logits of lists of texts, and the steps that lead to them."""

    def __init__(
        self,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        device: torch.device | str = "cpu",
        token_budget: int | None = None,
    ) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, torch.device(device)
        self.max_length = max_length
        self.token_budget = token_budget or usual_budget(self.device)
        self._pieces = Pieces.of(tokenizer, max_length)
        # A BERT tokenizer may serve a model without token types (DistilBERT), and the reverse.
        given = {"attention_mask", "input_ids", *tokenizer.model_input_names}
        self._taken = given & inspect.signature(model.forward).parameters.keys()
        if not families.reads_types(model):
            self._taken -= {"token_type_ids"}

    def logits(self, columns: Sequence[list[str]]) -> NDArray[np.float32]:
        """(texts, classes); texts of the same tokens are computed once and agree exactly."""
        place: dict[Encoded, int] = {}
        where = [
            place.setdefault(encoded, len(place))
            for start in range(0, len(columns[0]), CHUNK)
            for encoded in self._read([column[start : start + CHUNK] for column in columns])
        ]
        distinct = list(place)
        with torch.inference_mode():
            parts = [
                (rows, self.forward([distinct[row] for row in rows]).cpu().numpy())
                for rows in buckets([len(e.ids) for e in distinct], self.token_budget)
            ]
        return scatter(parts, len(distinct))[where]

    def _read(self, columns: Sequence[list[str]]) -> Sequence[Encoded]:
        if self._pieces and len(columns) == 1:
            return self._pieces.read(columns[0])
        return [read(encoding) for encoding in self.tokenize(columns)]

    def tokenize(self, columns: Sequence[list[str]]) -> list[Encoding]:
        """Each text, or pair of texts, truncated as in training, with its offsets."""
        batch = self.tokenizer(*columns, truncation=True, max_length=self.max_length)
        return list(batch.encodings or ())

    def real(self, length: int, width: int) -> slice:
        """Where the `length` tokens of a row lie in a batch of this width."""
        start = width - length if self.tokenizer.padding_side == "left" else 0
        return slice(start, start + length)

    def _inputs(self, encoded: Sequence[Encoded]) -> dict[str, Tensor]:
        width = max(len(e.ids) for e in encoded)
        if not all(e.ids for e in encoded):
            raise DataError("a text has no token at all: the tokenizer adds no special ones")
        pad = self.tokenizer.pad_token_id
        if pad is None and any(len(e.ids) < width for e in encoded):
            raise DataError("the tokenizer has no pad token: set tokenizer.pad_token")
        arrays = {
            "input_ids": np.full((len(encoded), width), pad or 0, np.int64),
            "attention_mask": np.zeros((len(encoded), width), np.int64),
            "token_type_ids": np.zeros((len(encoded), width), np.int64),
        }
        for row, (ids, types) in enumerate(encoded):
            real = self.real(len(ids), width)
            arrays["input_ids"][row, real] = ids
            arrays["attention_mask"][row, real] = 1
            arrays["token_type_ids"][row, real] = types
        return {
            name: torch.from_numpy(array).to(self.device)
            for name, array in arrays.items()
            if name in self._taken
        }

    def forward(self, encoded: Sequence[Encoded]) -> Tensor:
        """The logits of one padded batch: (rows, classes), float32."""
        with torch.autocast(self.device.type, enabled=False):
            logits: Tensor = self.model(**self._inputs(encoded)).logits
        if not torch.isfinite(logits).all():
            raise DataError("the model's logits are not finite: it has diverged, or its weights")
        return logits.float()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, full float32 products and no state that no head reads; afterwards as before."""
    modes = [(module, module.training) for module in model.modules()]
    precision = torch.get_float32_matmul_precision()
    model.eval()
    torch.set_float32_matmul_precision("highest")
    try:
        with first_token_alone(model):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        for module, training in modes:
            module.training = training


def margins(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The gold logit less the highest other one: (texts,)."""
    rows = np.arange(len(logits))
    others = logits.copy()
    others[rows, labels] = -np.inf
    highest: NDArray[np.float32] = others.max(axis=1)
    return logits[rows, labels] - highest


def usual_budget(device: torch.device) -> int:
    """Padded tokens a forward pass where nobody says otherwise."""
    return TOKEN_BUDGET_CPU if device.type == "cpu" else TOKEN_BUDGET


def buckets(lengths: Sequence[int], token_budget: int) -> list[NDArray[np.int64]]:
    """Rows of like length, together within the budget when padded; at least one row each."""
    groups: list[list[int]] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if groups and (len(groups[-1]) + 1) * lengths[row] <= token_budget:
            groups[-1].append(row)
        else:
            groups.append([row])
    return [np.array(group, np.int64) for group in groups]


def scatter(
    parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]], n: int
) -> NDArray[np.float32]:
    """The parts' values at the parts' rows, together all of 0..n-1: (n, classes)."""
    out = np.empty((n, parts[0][1].shape[1]), np.float32)
    for rows, values in parts:
        out[rows] = values
    return out
