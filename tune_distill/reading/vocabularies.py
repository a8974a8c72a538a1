"""The vocabularies of a study: tokenizers without the tokens that the task's text needs least."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tune_distill import teacher
from tune_distill.errors import TeacherError
from tune_distill.spec import StudySpec
from tune_distill.spec.space import every, nodes
from tune_distill.tasks import Encoded, tokenizer_digest
from tune_distill.tasks.pruning import numbers_in, prune, same_tokens
from tune_distill.tasks.vocabulary import choose
from tune_distill.teacher.store import Say, alone

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Vocab = int | Literal["full"]
Splits = tuple[Encoded, Encoded]  # train and search


def vocabularies(
    spec: StudySpec,
    tokenizer: PreTrainedTokenizerBase,
    source: Path,
    train: Encoded,
    root: Path,
    say: Say,
) -> Iterator[tuple[Vocab, Path]]:
    """Each of a study's vocabularies of a tokenizer, as a folder; `source` where it is whole."""
    counts = np.bincount(train.tokens, minlength=max(tokenizer.get_vocab().values()) + 1)
    for vocab in every(nodes(spec.space.student)["vocab"]):
        if vocab == "full" or vocab >= len(tokenizer):
            yield vocab, source
        else:
            yield vocab, _pruned(tokenizer, choose(tokenizer, counts, vocab), root, say)


def _pruned(
    tokenizer: PreTrainedTokenizerBase, kept: NDArray[np.int64], root: Path, say: Say
) -> Path:
    """The folder of a tokenizer with these tokens alone, named by what it does."""
    place = root / "tokenizers"
    place.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=place, prefix="."))
    try:
        digest = tokenizer_digest(prune(tokenizer, kept, partial))
        folder = place / digest[:16]
        with alone(folder, say):
            if not _holds(folder, digest):
                partial.chmod(0o755)
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _holds(folder: Path, digest: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        return tokenizer_digest(teacher.load_tokenizer(folder)) == digest
    except TeacherError:  # damaged
        return False


def told(
    checkpoint: str | None,
    whole: PreTrainedTokenizerBase,
    own: PreTrainedTokenizerBase,
    before: Splits,
    after: Splits,
) -> str:
    """What a smaller vocabulary does to the texts, in a line.

    Args:
        checkpoint: whose it is; None for the teacher's.
        whole: the tokenizer with all tokens.
        own: the one without some of them.
        before: train and search rows in all tokens.
        after: the same rows in those that are left.
    """
    same = same_tokens(after[0], before[0], numbers_in(own, whole)).mean()
    now, then = (
        " and ".join(f"{_unknown(split, tokenizer):.2f} %" for split in splits)
        for splits, tokenizer in ((after, own), (before, whole))
    )
    return (
        f"vocabulary of {len(own):,} of {len(whole):,} tokens of {checkpoint or 'the teacher'}: "
        f"{100 * same:.1f} % of train rows keep theirs; of train's and search's tokens {now} are "
        f"unknown ({then} with all)"
    )


def _unknown(split: Encoded, tokenizer: PreTrainedTokenizerBase) -> float:
    return 100 * float((split.tokens == tokenizer.unk_token_id).mean())
