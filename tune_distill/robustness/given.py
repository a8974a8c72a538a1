"""Resources as a user names them, opened where they are; and what to say of one that is missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import DataError
from tune_distill.robustness import neighbours
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.table import Table, opened
from tune_distill.tasks.builtin import reviews

if TYPE_CHECKING:
    from tune_distill.robustness.masked import MaskedWords
    from tune_distill.spec.attacks import AttackResources

HOW = {
    "table": "a file of neighbours; `tune-distill resources build` makes one from counter-fitted"
    " vectors, a list of neighbours or WordNet",
    "wordnet": "WordNet's dict folder (Debian's package wordnet-base has it in /usr/share/wordnet;"
    " NLTK's is corpora/wordnet), or what `tune-distill resources build` made of it",
    "masked_lm": "a masked language model: hub id or folder, such as google-bert/bert-base-uncased",
}


def open_given(
    given: AttackResources, needed: Sequence[str], device: str = "cpu", *, builtin: bool = False
) -> Opened:
    """Resources as they are named, without a cache: for one attack on one model.

    Args:
        given: names and paths.
        needed: those that the attack reads.
        device: of a masked model.
        builtin: whether the built-in corpus's table may stand in for one that isn't given.

    Raises:
        DataError: one isn't given, or can't be read.
    """
    found: dict[str, Table | MaskedWords] = {}
    for name in needed:
        key, value = f"--{name.replace('_', '-')}", getattr(given, name)
        if value is None and builtin and name == "table":
            found[name] = builtin_table()
            continue
        if value is None:
            raise DataError(f"{key}: missing; this attack needs {HOW[name]}")
        found[name] = (
            open_masked(located(value, key), device)
            if name == "masked_lm"
            else neighbours.read(Path(value).expanduser(), key)
        )
    return Opened(**found)  # type: ignore[arg-type]


def builtin_table() -> Table:
    """The synonyms of the built-in corpus."""
    return Table.of(
        {
            word: [(other, float("nan")) for other in others]
            for word, others in reviews.synonyms().items()
        }
    )


@lru_cache(maxsize=4)
def open_table(path: Path) -> Table:
    """A table from the cache."""
    return opened(path)


@lru_cache(maxsize=1)
def open_masked(folder: Path, device: str) -> MaskedWords:
    """A masked language model in its folder."""
    from tune_distill.robustness.masked import MaskedWords
    from tune_distill.teacher.loading import digest, load_masked, load_tokenizer

    model = load_masked(folder)
    return MaskedWords(model, load_tokenizer(folder), digest(model)[:16], device=device)


def located(value: str, key: str) -> Path:
    """The folder of a masked language model that the user names."""
    from tune_distill.errors import TeacherError
    from tune_distill.teacher.loading import load_tokenizer
    from tune_distill.teacher.locate import locate

    source = locate(value, key)
    if load_tokenizer(source, value).mask_token_id is None:
        raise TeacherError(f"{key}: {value} has no mask token to hide words with")
    return source
