"""Hidden words: a corpus whose batches hide some, and a model that answers there only.

Of 15 % of the words, drawn anew each time, 80 % become [MASK], 10 % another word, 10 % stay
(Devlin et al. 2019, arXiv 1810.04805, section 3.1). DistilBERT draws rare words more often; here
all are alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_distill.tasks import Batch, Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HIDDEN, AS_MASK, AS_ANOTHER = 0.15, 0.8, 0.1


@dataclass(frozen=True, eq=False)
class MaskedBatch(Batch):
    """A batch with hidden words; its labels are these words, (words,) in the order of `hidden`.

    hidden: (batch, length) bool
    """

    hidden: Tensor

    def to(self, device: torch.device | str) -> MaskedBatch:
        """Return the batch on a device."""
        moved = super().to(device)
        assert isinstance(moved, MaskedBatch)
        return replace(moved, hidden=self.hidden.to(device))

    def inputs(self) -> dict[str, Tensor]:
        """Return the arguments of a `Masked` model's forward."""
        return {**super().inputs(), "hidden": self.hidden}


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskedText(Encoded):
    """Text whose batches hide words, by torch's global generator: the loop seeds it by epoch.

    mask_id: the number of [MASK]
    kept: numbers that are never hidden: [CLS], [SEP], ...
    vocabulary: how many numbers there are
    """

    mask_id: int
    kept: tuple[int, ...]
    vocabulary: int

    def words(self) -> None:
        """Return None: a hidden word may become any other, and the answer may be any."""

    def batch(self, rows: NDArray[np.int64]) -> MaskedBatch:
        """Return these rows, padded to the longest of them, with words hidden."""
        whole = super().batch(rows)
        words = whole.attention_mask.bool() & ~torch.isin(whole.input_ids, torch.tensor(self.kept))
        hidden = words & (torch.rand(words.shape) < HIDDEN)
        if not hidden.any():  # few short rows: one word, so that there is something to learn
            hidden.view(-1)[words.view(-1).nonzero()[:1, 0]] = True
        drawn = torch.rand(words.shape)
        shown = whole.input_ids.masked_fill(hidden & (drawn < AS_MASK), self.mask_id)
        another = hidden & (drawn >= AS_MASK) & (drawn < AS_MASK + AS_ANOTHER)
        shown = torch.where(another, torch.randint(self.vocabulary, words.shape), shown)
        return MaskedBatch(
            input_ids=shown,
            attention_mask=whole.attention_mask,
            token_type_ids=None,
            labels=whole.input_ids[hidden],
            rows=rows,
            hidden=hidden,
        )


class Masked(nn.Module):
    """A masked language model that computes its head at the hidden words alone.

    A vocabulary of 30,522 makes the head a hundred times as dear as a small student's body; a
    hook on the body hands it only what is asked: logits are (words, vocabulary).
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.config = model.config

    @property
    def base_model(self) -> nn.Module:
        """The body, without the head."""
        return self.model.base_model

    def forward(self, hidden: Tensor, **inputs: Tensor) -> Any:  # noqa: ANN401 - an output of HF's
        """The model's output, its logits (words, vocabulary)."""

        def chosen(module: nn.Module, arguments: object, output: Any) -> Any:  # noqa: ANN401
            output.last_hidden_state = output.last_hidden_state[hidden][None]
            return output

        handle = self.base_model.register_forward_hook(chosen)
        try:
            output = self.model(**inputs)
        finally:
            handle.remove()
        output.logits = output.logits[0]
        return output
