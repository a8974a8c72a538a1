"""Words that a masked language model expects in the place of another, for many texts at once.

As in BAE-R (Garg and Ramakrishnan 2020, arXiv 2004.01970): the word is hidden behind one mask
token, and the model's most likely whole words are its candidates. Texts of all live rows share
forward passes; a text whose mask truncation cuts off has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from tune_distill.robustness.scorer import buckets, usual_budget
from tune_distill.teacher.suit import positions

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LONGEST = 512  # tokens, of a model that could read more


class MaskedWords:
    """A masked language model and its tokenizer, asked for words."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        digest: str,
        *,
        device: torch.device | str = "cpu",
        token_budget: int | None = None,
    ) -> None:
        self.model, self.tokenizer, self.digest = model, tokenizer, digest
        self.device = torch.device(device)
        self.token_budget = token_budget or usual_budget(self.device)
        nn.Module.to(model, self.device)
        self.max_length = min(positions(model), tokenizer.model_max_length, LONGEST)
        self._words = whole_words(tokenizer)

    def expected(self, texts: Sequence[str], most: int) -> list[list[str]]:
        """The candidates of each text's mask: whole words among the `most` likeliest tokens."""
        distinct = list(dict.fromkeys(texts))
        batch = self.tokenizer(distinct, truncation=True, max_length=self.max_length)
        rows = batch["input_ids"]
        found: dict[str, list[str]] = {}
        for group in buckets([len(row) for row in rows], self.token_budget):
            for text, best in zip(
                (distinct[row] for row in group),
                self._best([rows[row] for row in group], most),
                strict=True,
            ):
                found[text] = [w for token in best if (w := self._words.get(token))]
        return [found[text] for text in texts]

    def _best(self, rows: Sequence[list[int]], most: int) -> list[list[int]]:
        """The likeliest tokens at each row's mask; none where it was cut off."""
        pad, mask = self.tokenizer.pad_token_id, self.tokenizer.mask_token_id
        width = max(map(len, rows))
        ids = torch.full((len(rows), width), pad or 0)
        real = torch.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = torch.tensor(row)
            real[at, : len(row)] = 1
        masked = (ids == mask) & real.bool()
        with torch.inference_mode(), torch.autocast(self.device.type, enabled=False):
            inputs = ids.to(self.device), real.to(self.device)
            logits = self.model(input_ids=inputs[0], attention_mask=inputs[1]).logits.cpu()
        best: list[list[int]] = []
        for row, hidden in zip(logits, masked, strict=True):
            places = hidden.nonzero()[:, 0].tolist()
            # Sorted by (logit, number): equal logits come in an order that no batch changes.
            ranked = (
                row[places[0]].sort(descending=True, stable=True).indices if places else ids[:0]
            )
            best.append(ranked[:most].flatten().tolist())
        return best


def whole_words(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The tokens that are words by themselves, by number: letters only, and no piece of a word."""
    vocabulary = tokenizer.get_vocab()
    special = set(tokenizer.all_special_ids)
    # WordPiece marks the pieces that go on; byte-level BPE and SentencePiece those that begin.
    start = next((m for m in ("Ġ", "▁") if any(t.startswith(m) for t in vocabulary)), "")
    return {
        number: word
        for token, number in vocabulary.items()
        for word in [token.removeprefix(start)]
        if token.startswith(start) and number not in special and word.isalpha()
        if start != "Ġ" or word.isascii()  # other letters stand there as bytes
    }
