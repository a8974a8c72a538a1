"""What the general phase of all students shares: the tokens of the text, and the masked model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tune_distill.errors import DataError, TeacherError
from tune_distill.files import whole
from tune_distill.general.words import MaskedText
from tune_distill.methods.losses import NO_LABEL
from tune_distill.spec import GeneralSpec
from tune_distill.tasks import Rows, encode, files, tokenizer_digest
from tune_distill.teacher.loading import digest, load_masked, load_tokenizer
from tune_distill.teacher.locate import locate
from tune_distill.teacher.store import Say, alone, keep

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Corpus:
    """Folders, that each trial opens by itself."""

    text: Path  # tokens
    masked_lm: Path  # Hugging Face files
    students: Path  # those that were taught already


def prepare(
    spec: GeneralSpec, tokenizer: PreTrainedTokenizerBase, max_length: int, root: Path, say: Say
) -> Corpus:
    """Makes what the general phase of a study's students needs, or finds it in the cache.

    Args:
        spec: the study's general section.
        tokenizer: whose tokens the students read.
        max_length: the most tokens of a line of text.
        root: the folder of all caches.
        say: hears what is done, a line at a time.

    Raises:
        DataError: there is no text.
        TeacherError: the masked model can't be had, or reads other tokens.
    """
    root = root / "general"
    return Corpus(
        text=_text(spec, tokenizer, max_length, root, say),
        masked_lm=_masked_lm(spec.masked_lm, tokenizer, root, say),
        students=root / "students",
    )


def open_text(corpus: Corpus) -> MaskedText:
    """The tokens of the text, memory-mapped."""
    facts = json.loads((corpus.text / "text.json").read_text(encoding="utf-8"))
    tokens, offsets = (
        np.load(corpus.text / f"{part}.npy", mmap_mode="r", allow_pickle=False)
        for part in ("tokens", "offsets")
    )
    labels = np.full(len(offsets) - 1, NO_LABEL)
    kept = tuple(facts.pop("kept"))
    return MaskedText(tokens, None, offsets, labels, **facts, kept=kept)


def _text(
    spec: GeneralSpec, tokenizer: PreTrainedTokenizerBase, max_length: int, root: Path, say: Say
) -> Path:
    key = "general.text"
    if tokenizer.mask_token_id is None:
        raise TeacherError(f"{key}: the teacher's tokenizer has no mask token to hide words with")
    table = files.read(Path(spec.text), key, spec.column)
    texts = [text for text in table.text(spec.column) if text.strip()][: spec.max_rows]
    if not texts:
        raise DataError(f"{table.where}: no texts in it")
    facts = {
        "pad_id": tokenizer.pad_token_id,
        "mask_id": tokenizer.mask_token_id,
        "kept": tokenizer.all_special_ids,
        "vocabulary": len(tokenizer),
    }
    content = "\0".join([tokenizer_digest(tokenizer), str(max_length), *texts])
    folder = root / hashlib.sha256(content.encode()).hexdigest()[:16]
    with alone(folder, say):
        if not folder.is_dir():
            made = encode(Rows((texts,), np.full(len(texts), NO_LABEL)), tokenizer, max_length)
            with whole(folder) as partial:
                for part in ("tokens", "offsets"):
                    np.save(partial / f"{part}.npy", getattr(made, part), allow_pickle=False)
                (partial / "text.json").write_text(json.dumps(facts), encoding="utf-8")
    say(f"general phase: {len(texts):,} texts of {table.where}")
    return folder


def _masked_lm(name: str, tokenizer: PreTrainedTokenizerBase, root: Path, say: Say) -> Path:
    key = "general.masked_lm"
    source = locate(name, key)
    own = load_tokenizer(source, name)
    if tokenizer_digest(own) != tokenizer_digest(tokenizer):
        raise TeacherError(
            f"{key}: {name} reads other tokens than the teacher; give the model that the teacher "
            "was fine-tuned from"
        )
    model = load_masked(source, name)
    folder = root / f"{source.name}-{digest(model)[:16]}"
    with alone(folder, say):
        if not folder.is_dir():
            keep(model, own, folder, {"masked_lm": name})
    return folder
