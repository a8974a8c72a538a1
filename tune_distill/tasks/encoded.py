"""A split as token numbers, ragged: no padding is stored, a batch gets only what it needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.tasks.rows import Rows, labelled

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_AT_ONCE = 10_000  # rows handed to the tokenizer in one call
_MARKED = 10**6  # tokens looked at together: their numbers take eight times their room


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows, padded to the longest of them.

    input_ids, attention_mask: (batch, length) int64
    token_type_ids: likewise; None where the tokenizer makes none
    labels: as in `Rows`: (batch,) int64 or float32, or (batch, classes) float32
    rows: (batch,) their row numbers in the split
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    token_type_ids: torch.Tensor | None
    labels: torch.Tensor
    rows: NDArray[np.int64]

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on a device."""
        types = self.token_type_ids
        return replace(
            self,
            input_ids=self.input_ids.to(device),
            attention_mask=self.attention_mask.to(device),
            token_type_ids=None if types is None else types.to(device),
            labels=self.labels.to(device),
        )

    def inputs(self) -> dict[str, torch.Tensor]:
        """Return the arguments of a Transformers model's forward, labels apart."""
        inputs = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if self.token_type_ids is not None:
            inputs["token_type_ids"] = self.token_type_ids
        return inputs


@dataclass(frozen=True, eq=False)
class Encoded:
    """A split's rows as token numbers; row i is `tokens[offsets[i] : offsets[i + 1]]`.

    tokens: (total,) of the smallest unsigned type that holds the vocabulary
    types: (total,) uint8, the segment of each token; None where the tokenizer makes none
    offsets: (rows + 1,) int64
    labels: as in `Rows`
    """

    tokens: NDArray[np.unsignedinteger[Any]]
    types: NDArray[np.uint8] | None
    offsets: NDArray[np.int64]
    labels: NDArray[np.generic]
    pad_id: int

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each row, special ones included: (rows,)."""
        offsets = np.asarray(self.offsets)
        return offsets[1:] - offsets[:-1]

    def labelled(self) -> Encoded:
        """Return the rows that have a label, under the row numbers that they have here.

        They come first, so that what is kept for each row of the split (the teacher's signals)
        is found by the same numbers.
        """
        count = labelled(self.labels)
        end = int(self.offsets[count])
        return replace(
            self,
            tokens=self.tokens[:end],
            types=None if self.types is None else self.types[:end],
            offsets=self.offsets[: count + 1],
            labels=self.labels[:count],
        )

    def words(self) -> NDArray[np.int64] | None:
        """Return the numbers that batches may hold besides padding, ascending; None: any."""
        found = np.zeros(int(self.tokens.max()) + 1, np.bool_)
        for start in range(0, len(self.tokens), _MARKED):
            found[self.tokens[start : start + _MARKED]] = True
        return np.flatnonzero(found)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Return these rows, padded to the longest of them."""
        lengths = self.lengths[rows]
        real = np.arange(lengths.max()) < lengths[:, None]
        place = (self.offsets[rows][:, None] + np.arange(lengths.max()))[real]

        def padded(values: NDArray[Any], padding: int) -> torch.Tensor:
            filled = np.full(real.shape, padding, np.int64)
            filled[real] = values[place]
            return torch.from_numpy(filled)

        return Batch(
            padded(self.tokens, self.pad_id),
            torch.from_numpy(real.astype(np.int64)),
            None if self.types is None else padded(self.types, 0),
            torch.from_numpy(self.labels[rows]),
            rows,
        )


def encode(rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Encoded:
    """Tokenise a split; what is longer than `max_length` loses tokens of its longest text first."""
    pad_id = check_tokenizer(tokenizer, max_length)
    typed = "token_type_ids" in tokenizer.model_input_names
    smallest = np.min_scalar_type(max(tokenizer.get_vocab().values()))
    tokens: list[NDArray[Any]] = []
    types: list[NDArray[Any]] = []
    lengths: list[int] = []
    for start in range(0, len(rows), _AT_ONCE):
        made = tokenizer(
            *(column[start : start + _AT_ONCE] for column in rows.texts),
            truncation="longest_first",
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=typed,
        )
        tokens.append(_flat(made["input_ids"], smallest))
        lengths.extend(map(len, made["input_ids"]))
        if typed:
            types.append(_flat(made["token_type_ids"], np.dtype(np.uint8)))
    if not all(lengths):
        raise DataError(
            f"row {lengths.index(0)} (counted from 0) has no tokens: an empty text, and a tokenizer"
            " that adds none of its own; remove such rows"
        )
    return Encoded(
        np.concatenate(tokens),
        np.concatenate(types) if typed else None,
        np.cumsum([0, *lengths], dtype=np.int64),
        rows.labels,
        pad_id,
    )


def check_tokenizer(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """Return the padding token's number; refuse a tokenizer that cannot encode a task."""
    name = tokenizer.name_or_path or type(tokenizer).__name__
    if not tokenizer.is_fast:
        raise DataError(f"tokenizer {name}: only fast ones (with a tokenizer.json) can be used")
    if max_length > tokenizer.model_max_length:
        raise DataError(
            f"task.max_length: {max_length}, but the tokenizer {name} (and its model's positions)"
            f" end at {tokenizer.model_max_length}"
        )
    pad_id = tokenizer.pad_token_id
    if not isinstance(pad_id, int):
        raise DataError(f"tokenizer {name}: it has no padding token; set its pad_token")
    return pad_id


def _flat(ragged: list[list[int]], kind: np.dtype[Any]) -> NDArray[Any]:
    return np.fromiter(chain.from_iterable(ragged), kind, count=sum(map(len, ragged)))
