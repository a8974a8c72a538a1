"""The same attack by both engines: ours here, TextAttack's in an interpreter of its own.

Both get the same model, rows, words, candidates and constraints, no budget, and an order that both
know. Our words are then TextAttack's (`joined`), also for attacks on letters.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tune_distill.errors import DataError
from tune_distill.robustness import ATTACKS, Attack, search
from tune_distill.robustness.constraints import editable
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.proposals import Proposals
from tune_distill.robustness.stop_words import STOP_WORDS
from tune_distill.robustness.words import split

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SIDE = Path(__file__).with_name("textattack_side.py")
MAX_LENGTH = 128  # tokens: of all rows here more than enough
ORDERS = {  # TextAttack's own
    **{"char": "unk", "pruthi": "unk", "table": "delete", "wordnet": "saliency"},
    "textbugger": "delete",
}


@dataclass(frozen=True)
class Rows:
    """What is attacked."""

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def first(self, n: int) -> Rows:
        """The first n of them."""
        return Rows(self.texts[:n], self.labels[:n])


@dataclass(frozen=True)
class Subject:
    """Who is attacked."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@dataclass(frozen=True)
class Outcomes:
    """What became of the rows, and how long it took."""

    outcomes: NDArray[np.int8]  # (rows,) RowOutcome
    queries: NDArray[np.int64]  # (rows,)
    texts: list[str]
    seconds: float
    cpu_seconds: float


def recipe(name: str, order: str | None = None) -> Attack:
    """One of our recipes as both engines can run it."""
    return replace(ATTACKS[name], order=order or ORDERS[name], budget=None, joined=True)


def ours(
    attack: Attack,
    rows: Rows,
    subject: Subject,
    resources: Opened,
    device: str = "cpu",
) -> Outcomes:
    """Our engine's outcomes."""
    started, cpu = time.perf_counter(), time.process_time()
    found = search.attack(
        subject.model,
        subject.tokenizer,
        (rows.texts,),
        rows.labels,
        attack,
        max_length=MAX_LENGTH,
        device=device,
        resources=resources,
    )
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    return Outcomes(found.outcomes, found.queries.astype(np.int64), found.texts[0], seconds, used)


def candidates(attack: Attack, rows: Rows, resources: Opened) -> list[list[tuple[str, list[str]]]]:
    """Each row's words, each with what it may become."""
    proposals = Proposals(attack, resources)
    found = []
    for text in rows.texts:
        words = split(text, attack.joined).words
        allowed = set(editable(words, attack))
        found.append(
            [
                (word, proposals.alone(word, place) if place in allowed else [])
                for place, word in enumerate(words)
            ]
        )
    return found


class TextAttack:
    """A process that answers jobs with TextAttack's outcomes."""

    def __init__(self, python: str, model: Path, *, threads: int, device: str = "cpu") -> None:
        self._common = {"model": str(model), "threads": threads, "device": device}
        self._process = subprocess.Popen(
            [python, str(SIDE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> TextAttack:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def outcomes(
        self,
        attack: Attack,
        rows: Rows,
        resources: Opened,
        *,
        padding: Literal["shipped", "mended"] = "mended",
        edits: Literal["ours", "theirs"] = "ours",
        seed: int = 0,
    ) -> Outcomes:
        """Its outcomes on the rows.

        Raises:
            DataError: the process has ended; what it said is on standard error.
        """
        listed = zip(
            rows.texts, rows.labels.tolist(), candidates(attack, rows, resources), strict=True
        )
        job = {
            **self._common,
            "attack": asdict(attack),
            "rows": [{"text": text, "label": label, "words": own} for text, label, own in listed],
            # TextAttack minds their case, we do not.
            "stop_words": [form for w in STOP_WORDS for form in (w, w.capitalize(), w.upper())],
            "padding": padding,
            "edits": edits,
            "seed": seed,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise DataError(f"TextAttack's process ended with code {code}: see above")
        found = json.loads(line)
        return Outcomes(
            np.array(found["outcomes"], np.int8),
            np.array(found["queries"], np.int64),
            found["texts"],
            found["seconds"],
            found["cpu_seconds"],
        )


def agreement(first: Outcomes, second: Outcomes) -> tuple[float, Sequence[int]]:
    """The share of rows with the same outcome, and the rows with another."""
    other = np.flatnonzero(first.outcomes != second.outcomes)
    return 1.0 - len(other) / len(first.outcomes), other.tolist()
