"""Writing a tokenizer that has lost tokens, and comparing what two tokenizers make of a text.

Tokens are numbered anew without gaps, in their old order. Rules that lead to other tokens go: a
BPE merge stays where its halves and its result do. The result is an ordinary tokenizer that
Hugging Face saves and loads; it is loaded again before it is used, and refused if it then differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.tasks.vocabulary import Content, Ints, called, content_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from tune_distill.tasks.encoded import Encoded

_ROWS = 50_000  # compared at once


def prune(tokenizer: PreTrainedTokenizerBase, kept: Ints, folder: Path) -> PreTrainedTokenizerBase:
    """Writes the tokenizer with these tokens alone to a folder, and loads it from there.

    Args:
        tokenizer: as Hugging Face loads it; of a kind that `choose` serves.
        kept: numbers of its tokens, ascending, as `choose` gives them.
        folder: an empty one.

    Raises:
        DataError: the tokenizer can't be written, or not be loaded again as it was written.
    """
    from transformers import AutoTokenizer

    names = tokenizer.convert_ids_to_tokens(kept.tolist())
    numbers = {name: number for number, name in enumerate(names)}
    content = _smaller(content_of(tokenizer), numbers, called(tokenizer))
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(
        json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8"
    )
    pruned: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        folder, trust_remote_code=False, local_files_only=True
    )
    if content_of(pruned) != content or pruned.get_vocab() != numbers:
        raise DataError(
            f"student.vocab: {called(tokenizer)} without some tokens is not loaded as it was"
            " written: its class makes up what its files don't say; full works"
        )
    return pruned


def numbers_in(
    own: PreTrainedTokenizerBase, reference: PreTrainedTokenizerBase
) -> NDArray[np.int64]:
    """The number that each of `own`'s tokens has in the reference; -1 where it has none."""
    vocabulary, known = own.get_vocab(), reference.get_vocab()
    found = np.full(max(vocabulary.values()) + 1, -1)
    for token, number in vocabulary.items():
        found[number] = known.get(token, -1)
    return found


def is_part(own: PreTrainedTokenizerBase, reference: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer is of the reference's kind, with no token that this doesn't have."""
    kinds = {content_of(each)["model"]["type"] for each in (own, reference)}
    return len(kinds) == 1 and own.get_vocab().keys() <= reference.get_vocab().keys()


def same_tokens(own: Encoded, reference: Encoded, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows two tokenizers make the same tokens of, so that token i is token i: (rows,).

    Args:
        own: a split in the one's tokens.
        reference: the same rows in the other's.
        numbers: as `numbers_in` gives them.
    """
    same: NDArray[np.bool_] = own.lengths == reference.lengths
    candidates = np.flatnonzero(same)
    for start in range(0, len(candidates), _ROWS):
        rows = candidates[start : start + _ROWS]
        lengths = own.lengths[rows]
        first = np.cumsum(lengths) - lengths
        within = np.arange(int(lengths.sum())) - np.repeat(first, lengths)
        tokens, expected = (
            split.tokens[np.repeat(split.offsets[rows], lengths) + within]
            for split in (own, reference)
        )
        same[rows] = np.logical_and.reduceat(numbers[tokens] == expected, first)
    return same


def _smaller(content: Content, numbers: Mapping[str, int], name: str) -> Content:
    """The content of a tokenizer.json with these tokens alone, so numbered."""
    model = dict(content["model"])
    if model["type"] == "Unigram":
        unknown = model["vocab"][model["unk_id"] or 0][0]
        model["vocab"] = [entry for entry in model["vocab"] if entry[0] in numbers]
        if model["unk_id"] is not None:
            model["unk_id"] = numbers[unknown]
    else:
        own = {token: numbers[token] for token in model["vocab"] if token in numbers}
        model["vocab"] = dict(sorted(own.items(), key=lambda entry: entry[1]))
    if "merges" in model:
        model["merges"] = [
            [left, right]
            for left, right in model["merges"]
            if {left, right, left + right} <= numbers.keys()
        ]
    added = [token | {"id": numbers[token["content"]]} for token in content["added_tokens"]]
    processor = _renumbered(content["post_processor"], numbers, name)
    return content | {"model": model, "added_tokens": added, "post_processor": processor}


def _renumbered(
    processor: dict[str, Any] | None, numbers: Mapping[str, int], name: str
) -> dict[str, Any] | None:
    """What sets special tokens around a text, with their new numbers."""
    kind = processor and processor["type"]
    match processor:
        case None | {"type": "ByteLevel"}:
            return processor
        case {"type": "TemplateProcessing", "special_tokens": specials}:
            made = {
                key: special | {"ids": [numbers[token] for token in special["tokens"]]}
                for key, special in specials.items()
            }
            return processor | {"special_tokens": made}
        case {"type": "BertProcessing" | "RobertaProcessing", "sep": [sep, _], "cls": [cls, _]}:
            return processor | {"sep": [sep, numbers[sep]], "cls": [cls, numbers[cls]]}
        case {"type": "Sequence", "processors": each}:
            return processor | {"processors": [_renumbered(one, numbers, name) for one in each]}
    raise DataError(
        f"student.vocab: {name} sets special tokens by {kind}, which can't be numbered anew here;"
        " full works"
    )
