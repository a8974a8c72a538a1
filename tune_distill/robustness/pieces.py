"""The tokens of texts that share most of their words, looked up by what lies between the spaces.

BERT's tokenizer cuts a text at its spaces before all else, and does nothing across a cut: a text's
tokens are those of its parts, one after the other. The texts of an attack differ from each other in
a word or two, so nearly all of their parts were seen before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

MOST = 200_000  # parts that are remembered, a few hundred bytes each
NORMALIZERS = {"BertNormalizer", "NoneType"}  # that look at one character after the other


class Encoded(NamedTuple):
    """One text, or one pair, as the model reads it."""

    ids: tuple[int, ...]
    types: tuple[int, ...]


def read(encoding: Encoding) -> Encoded:
    """What the model reads of a tokenizer's encoding; hashable."""
    return Encoded(tuple(encoding.ids), tuple(encoding.type_ids))


class Pieces:
    """Single texts as a tokenizer of BERT's encodes them, truncated as in training.

    Args:
        tokenizer: the model's own.
        max_length: tokens at most, special ones included.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self._tokenizer = tokenizer
        empty = tuple(tokenizer("")["input_ids"])
        self._before, self._after = empty[:1], empty[1:]  # [CLS] and [SEP]
        self._room = max_length - len(empty)
        self._known: dict[str, tuple[int, ...]] = {}

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Self | None:
        """None for a tokenizer that may do otherwise."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None or tokenizer.truncation_side != "right":
            return None
        cuts = type(backend.pre_tokenizer).__name__ == "BertPreTokenizer"
        local = type(backend.normalizer).__name__ in NORMALIZERS
        framed = len(tokenizer("")["input_ids"]) == 2
        return cls(tokenizer, max_length) if cuts and local and framed else None

    def read(self, texts: Sequence[str]) -> list[Encoded]:
        """Each text as the model reads it."""
        parts = [text.split(" ") for text in texts]
        self._learn({part for own in parts for part in own})
        return [self._joined(own) for own in parts]

    def _learn(self, parts: set[str]) -> None:
        if len(self._known) > MOST:
            self._known.clear()
        if new := list(parts - self._known.keys()):
            found = self._tokenizer(new, add_special_tokens=False)["input_ids"]
            self._known |= {part: tuple(ids) for part, ids in zip(new, found, strict=True)}

    def _joined(self, parts: Sequence[str]) -> Encoded:
        ids = [token for part in parts for token in self._known[part]]
        whole = (*self._before, *ids[: self._room], *self._after)
        return Encoded(whole, (0,) * len(whole))
