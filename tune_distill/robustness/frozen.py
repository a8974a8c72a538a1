"""Adversarial rows to learn from: of rows that a model has right, what an attack made of them.

A row that the attack flipped is there as what flipped it, one that held out at the attack's best
try; rows that the model has wrong, and texts in which nothing could be changed, are not. Those
of `augment` are found once against a study's teacher and kept under a hash of the teacher, the
rows and the attack:

    KEY/rows.json     {"rows": [...], "texts": [[...], ...], "labels": [...], "flipped": ...}
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.files import whole
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.recipes import ATTACKS
from tune_distill.robustness.search import attack
from tune_distill.tasks import Prepared, Rows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tune_distill.hardening import Adversaries
    from tune_distill.robustness.attacks import Attack, Profile
    from tune_distill.robustness.opened import Opened
    from tune_distill.teacher.store import Say

FORMAT = 1
FILE = "rows.json"


@dataclass(frozen=True, eq=False)
class Found:
    """Adversarial rows."""

    rows: NDArray[np.int64]  # their numbers in train
    texts: tuple[list[str], ...]  # a list a column
    labels: NDArray[np.int64]
    flipped: int  # of them, those that the model takes for another class

    @property
    def digest(self) -> str:
        """Of the rows and their texts."""
        content = json.dumps([self.rows.tolist(), self.texts, self.labels.tolist()])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def recipe_of(defence: Adversaries, profile: Profile) -> Attack:
    """The attack of a defence: words in order of their gradient, as strict as the study's own."""
    recipe = ATTACKS[defence.recipe].ordered("gradient")
    return recipe.under(profile).within(defence.queries)


def attacked(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Rows,
    numbers: NDArray[np.int64],
    recipe: Attack,
    *,
    max_length: int,
    device: torch.device | str,
    resources: Opened,
) -> Found:
    """Attacks labelled rows and keeps what came of those that the model has right.

    Args:
        model: a sequence classifier; its mode, its gradients and all random numbers stay as found.
        tokenizer: its own.
        rows: what is attacked.
        numbers: of the rows in their split.
        recipe: the attack.
        max_length: in tokens.
        device: where the model is.
        resources: what the recipe reads.
    """
    made = attack(
        model,
        tokenizer,
        rows.texts,
        rows.labels.astype(np.int64),
        resources.bound(recipe),
        max_length=max_length,
        device=device,
        resources=resources,
    )
    kept = np.flatnonzero((made.outcomes != RowOutcome.WRONG) & (made.words_changed > 0))
    return Found(
        numbers[kept],
        tuple([column[at] for at in kept] for column in made.texts),
        rows.labels[kept].astype(np.int64),
        int((made.outcomes == RowOutcome.FLIPPED).sum()),
    )


def keep(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    digest: str,
    task: Prepared,
    chosen: NDArray[np.int64],
    recipe: Attack,
    *,
    root: Path,
    resources: Opened,
    device: str,
    say: Say,
) -> Path:
    """The folder of a teacher's adversarial rows, made if they are not there.

    Args:
        model: the teacher.
        tokenizer: its own.
        digest: of the teacher.
        task: whose train rows are attacked.
        chosen: which of them.
        recipe: the attack.
        root: of all such folders.
        resources: what the recipe reads.
        device: where to attack.
        say: hears what came of it.
    """
    bound = resources.bound(recipe)
    identity = [FORMAT, digest, task.key, chosen.tolist(), bound.canonical()]
    folder = root / hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    if not (folder / FILE).is_file():
        model.to(device)  # type: ignore[arg-type]  # of a decorated method
        found = attacked(
            model,
            tokenizer,
            task.rows("train").take(chosen),
            chosen,
            recipe,
            max_length=task.max_length,
            device=device,
            resources=resources,
        )
        content = {
            "rows": found.rows.tolist(),
            "texts": found.texts,
            "labels": found.labels.tolist(),
            "flipped": found.flipped,
        }
        with whole(folder) as partial:
            (partial / FILE).write_text(json.dumps(content), encoding="utf-8")
        say(
            f"adversarial rows by {bound.shown} against the teacher: {len(found.rows):,} of "
            f"{len(chosen):,}, {found.flipped:,} of which flip it"
        )
    return folder


@lru_cache(maxsize=2)
def opened(folder: Path) -> Found:
    """The rows that `keep` filed.

    Raises:
        DataError: they are not there, or damaged.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return Found(
            np.array(content["rows"], np.int64),
            tuple(content["texts"]),
            np.array(content["labels"], np.int64),
            content["flipped"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder}: no adversarial rows ({error}); delete the folder, and the search makes "
            "them again"
        ) from None
