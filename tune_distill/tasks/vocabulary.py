"""Which tokens a task's text needs: the vocabulary that a student may do with.

    kept = special and added tokens, single characters, then the tokens that occur most often in
           train (of equal ones the first), each with the tokens that it is spelled from

Single characters stay if they are ASCII or occur in train, so that a word can still be spelled, in
more and shorter pieces; a byte-level BPE keeps its 256 bytes. (BERT has 1,900 more, of scripts that
an English task never sees: with all of them, 27 and 72 % of SST-2's rows would be read as before by
4,000 and 8,000 tokens; so it is 49 and 87 %.) What is made of a text doesn't change as long as all
tokens made of it are kept: WordPiece's longest match is still there, and no longer one; BPE's next
merge is still there, and no earlier one; Unigram's best path is still there, and no better one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ints = NDArray[np.int64]
Content = dict[str, Any]  # of a tokenizer.json
Halves = Mapping[str, set[str]]


def choose(tokenizer: PreTrainedTokenizerBase, counts: Ints, size: int) -> Ints:
    """The numbers of the `size` tokens that a text needs most, ascending; all if there are fewer.

    Args:
        tokenizer: a fast one.
        counts: (vocabulary,) how often each token occurs in the text.
        size: how many to keep.

    Raises:
        DataError: they can't hold the single characters, or the tokenizer is of another kind.
    """
    numbers = tokenizer.get_vocab()
    if size >= len(numbers):
        return np.array(sorted(numbers.values()), np.int64)
    content = content_of(tokenizer)
    kept = _needed(tokenizer, content, _characters(numbers, counts))
    if size < len(kept):
        raise DataError(
            f"student.vocab: {size:,} tokens can't spell every word: the special tokens and single"
            f" characters of {called(tokenizer)} are {len(kept):,}; so many or more work, or full"
        )
    occurring = sorted(
        (token for token, number in numbers.items() if counts[number]),
        key=lambda token: (-counts[numbers[token]], numbers[token]),
    )
    never = sorted(numbers.keys() - set(occurring), key=lambda token: numbers[token])
    possible = _possible(tokenizer, content)
    later = chain(filter(possible, never), (token for token in never if not possible(token)))
    _fill(kept, chain(occurring, later), _halves(content), size)
    return np.array(sorted(numbers[token] for token in kept), np.int64)


def content_of(tokenizer: PreTrainedTokenizerBase) -> Content:
    """What a fast tokenizer does, as in its tokenizer.json; without what calls have set."""
    content: Content = json.loads(tokenizer.backend_tokenizer.to_str())
    return content | {"truncation": None, "padding": None}


def called(tokenizer: PreTrainedTokenizerBase) -> str:
    """A tokenizer's name, for messages."""
    return f"the tokenizer {tokenizer.name_or_path or type(tokenizer).__name__}"


def _characters(numbers: Mapping[str, int], counts: Ints) -> set[str]:
    """Those of ASCII, those of the tokens that occur, and what Unigram begins a word with."""
    occurring = (token for token, number in numbers.items() if counts[number])
    return {*map(chr, range(128)), "▁"}.union(*occurring)


def _needed(tokenizer: PreTrainedTokenizerBase, content: Content, characters: set[str]) -> set[str]:
    """The tokens that stay however rare they are."""
    kind, model = _kind(content), content["model"]
    prefix = model.get("continuing_subword_prefix") or ""
    kept = {token["content"] for token in content["added_tokens"]}
    kept |= set(tokenizer.convert_ids_to_tokens(tokenizer.all_special_ids))
    if kind == "Unigram":
        scores = dict(model["vocab"])
        # An unknown character costs the least score, less 10.
        kept |= {model["vocab"][model["unk_id"] or 0][0], min(scores, key=scores.__getitem__)}
        return kept | {piece for piece in scores if len(piece) == 1 and piece in characters}
    if model["unk_token"]:
        kept.add(model["unk_token"])
    single = {token for token in model["vocab"] if len(token.removeprefix(prefix)) == 1}
    if kind == "BPE":
        return kept | single
    return kept | {token for token in single if token.removeprefix(prefix) in characters}


def _halves(content: Content) -> Halves:
    """Both halves of each BPE merge, by what it makes; several may make the same."""
    halves: dict[str, set[str]] = {}
    for merge in content["model"].get("merges", ()):
        left, right = merge
        halves.setdefault(left + right, set()).update((left, right))
    return halves


def _fill(kept: set[str], wanted: Iterable[str], halves: Halves, size: int) -> None:
    """Adds what is wanted as long as it fits, with all that it is made of."""
    for token in wanted:
        more, todo = set(), [token]
        while todo:
            one = todo.pop()
            if one not in kept and one not in more:
                more.add(one)
                todo.extend(halves.get(one, ()))
        if len(kept) + len(more) <= size:
            kept |= more
        if len(kept) == size:
            return


def _possible(tokenizer: PreTrainedTokenizerBase, content: Content) -> Callable[[str], bool]:
    """Whether a token can come of a text: BERT's [unused7] can't, since brackets stand alone."""
    backend, prefix = tokenizer.backend_tokenizer, content["model"].get("continuing_subword_prefix")
    if _kind(content) != "WordPiece":
        return lambda token: True

    def possible(token: str) -> bool:
        text = token.removeprefix(prefix)
        normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
        words = backend.pre_tokenizer.pre_tokenize_str(normal) if backend.pre_tokenizer else ()
        return [word for word, _ in words] == [text]

    return possible


def _kind(content: Content) -> str:
    """WordPiece, BPE or Unigram, of a form that can lose tokens."""
    model = content["model"]
    kind = model.get("type")
    affixes = kind == "BPE" and (
        model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    )
    if kind not in ("WordPiece", "BPE", "Unigram") or affixes or model.get("byte_fallback"):
        trait = (
            "with affixes" if affixes else "with byte fallback" * bool(model.get("byte_fallback"))
        )
        raise DataError(
            f"student.vocab: a tokenizer of the kind {' '.join((str(kind), trait)).strip()} can't"
            " lose tokens here; WordPiece, and BPE and Unigram without such traits can; full works"
        )
    return str(kind)
