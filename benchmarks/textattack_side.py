"""TextAttack's side of a comparison: its own search, constraints and goal, in its own environment.

It cannot live beside Transformers 5, so it gets an interpreter of its own, which needs nothing of
this package (versions that work together: textattack-requirements.txt):

    python -m venv textattack
    textattack/bin/pip install -r benchmarks/textattack-requirements.txt
    textattack/bin/python -m nltk.downloader stopwords wordnet omw-1.4

Without NLTK's stop words it can't be imported; WordNet is for its own candidates of `wordnet`.

Jobs come as lines of JSON on standard input (`beside.py` writes them), each is answered by a line
of JSON: outcome, queries and text of each row, and the seconds. A job names the model, the rows
with every candidate of every word, and our attack's fields, from which TextAttack's attack is
built:

    order unk, delete, random     GreedyWordSwapWIR; saliency: its weighted-saliency
    search full                   GreedySearch
    edits                         the job's candidates ("ours"), or its own WordSwap* ("theirs")
    constraints                   RepeatModification, MinWordLength, StopwordModification,
                                  MaxModificationRate, MaxWordsPerturbed, LevenshteinEditDistance
    padding                       "shipped": its wrapper's, to the tokenizer's longest; or "mended"

What is mended for it, so that the same algorithms are compared. Weighted saliency multiplies by
what a swap gains, as in its paper and ours (TextAttack 0.3.11: by the score after it). A word that
a space splits counts as one changed word, not as two, and moves no later word's number (it would
then edit the wrong ones). A padded batch ends where its longest text does.
"""

from __future__ import annotations

import json
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from typing import IO, Any

import numpy as np
import torch
from textattack import Attack
from textattack.attack_results import FailedAttackResult, SkippedAttackResult
from textattack.constraints.overlap import LevenshteinEditDistance, MaxWordsPerturbed
from textattack.constraints.pre_transformation import (
    MaxModificationRate,
    MinWordLength,
    RepeatModification,
    StopwordModification,
)
from textattack.goal_functions import UntargetedClassification
from textattack.models.wrappers import HuggingFaceModelWrapper
from textattack.search_methods import GreedySearch, GreedyWordSwapWIR
from textattack.shared import AttackedText
from textattack.transformations import (
    CompositeTransformation,
    WordSwapNeighboringCharacterSwap,
    WordSwapQWERTY,
    WordSwapRandomCharacterDeletion,
    WordSwapRandomCharacterInsertion,
    WordSwapRandomCharacterSubstitution,
    WordSwapWordNet,
)
from textattack.transformations.word_swaps.word_swap import WordSwap
from transformers import AutoModelForSequenceClassification, AutoTokenizer

WRONG, ROBUST, FLIPPED = range(3)
INNER = {"random_one": False, "skip_first_char": True, "skip_last_char": True}


class Given(WordSwap):
    """The candidates that a job lists for each word of the row under attack."""

    def begin(self, text: str, words: list[tuple[str, list[str]]]) -> None:
        """Turn to a row: what may become of each of its words, by TextAttack's count of words."""
        # To TextAttack a ` is a letter: "``" is a word that we have not.
        own = AttackedText(text).words
        places = [at for at, word in enumerate(own) if any(map(str.isalnum, word))]
        if [own[at] for at in places] != [word for word, _ in words]:
            raise ValueError(f"words of {text!r}: {own}, and ours: {words}")
        self._options = dict(zip(places, (options for _, options in words), strict=True))

    def __call__(self, *args: Any, **named: Any) -> Any:  # noqa: ANN401
        """The search names words by their place in the source, where no space had split any."""
        return super().__call__(*args, **{**named, "shifted_idxs": True})

    def _get_transformations(
        self, current_text: AttackedText, indices_to_modify: Iterable[int]
    ) -> list[AttackedText]:
        was = current_text.attack_attrs["original_index_map"].tolist()
        return [
            current_text.replace_word_at_index(at, new)
            for at in sorted(indices_to_modify)
            for new in self._options.get(was.index(at), ())
        ]


class SourceWords(MaxModificationRate):
    """Counts words of the source: two halves of one are one changed word, and not two."""

    def _get_modifiable_indices(self, current_text: AttackedText) -> set[int]:
        now = current_text.attack_attrs["original_index_map"].tolist()
        changed = current_text.attack_attrs["modified_indices"].intersection(now)
        within = len(changed) < max(math.ceil(len(now) * self.max_rate), self.min_threshold)
        return set(range(current_text.num_words)) if within else set()


class Gain(UntargetedClassification):
    """The probability that the gold class has lost: what weighted saliency multiplies by."""

    def init_attack_example(self, attacked_text: AttackedText, ground_truth_output: int) -> Any:  # noqa: ANN401
        """Score the clean text, from which the others are counted."""
        self._clean = 0.0
        found = super().init_attack_example(attacked_text, ground_truth_output)
        self._clean, found[0].score = -found[0].score, 0.0
        return found

    def _get_score(self, model_output: torch.Tensor, _: AttackedText) -> float:
        return self._clean - float(model_output[self.ground_truth_output])


class Mended(HuggingFaceModelWrapper):
    """Its wrapper, padding to the longest text of a batch."""

    def __call__(self, text_input_list: list[str]) -> torch.Tensor:
        """The logits of texts."""
        batch = self.tokenizer(text_input_list, padding=True, truncation=True, return_tensors="pt")
        with torch.no_grad():
            return self.model(**batch.to(self.model.device)).logits


THEIRS: dict[str, Callable[[], Any]] = {
    "char": lambda: CompositeTransformation(
        [
            WordSwapNeighboringCharacterSwap(),
            WordSwapRandomCharacterSubstitution(),
            WordSwapRandomCharacterDeletion(),
            WordSwapRandomCharacterInsertion(),
        ]
    ),
    "pruthi": lambda: CompositeTransformation(
        [
            WordSwapNeighboringCharacterSwap(**INNER),
            WordSwapRandomCharacterDeletion(**INNER),
            WordSwapRandomCharacterInsertion(**INNER),
            WordSwapQWERTY(**INNER),
        ]
    ),
    "wordnet": WordSwapWordNet,
}


def built(job: dict[str, Any], transformation: Any, model: Any, tokenizer: Any) -> Attack:  # noqa: ANN401
    """The attack that a job describes."""
    ours = job["attack"]
    wrapper = (HuggingFaceModelWrapper if job["padding"] == "shipped" else Mended)(model, tokenizer)
    constraints = [RepeatModification(), MinWordLength(ours["min_word_length"])]
    if not ours["stop_words"]:
        constraints.append(StopwordModification(stopwords=job["stop_words"]))
    if ours["max_fraction"] < 1.0:
        constraints.append(SourceWords(ours["max_fraction"]))
    if ours["max_words"] is not None:
        constraints.append(MaxWordsPerturbed(max_num_words=ours["max_words"]))
    if ours["max_distance"] is not None:
        constraints.append(LevenshteinEditDistance(ours["max_distance"]))
    saliency = ours["order"] == "saliency"
    order = "weighted-saliency" if saliency else ours["order"]
    return Attack(
        (Gain if saliency else UntargetedClassification)(wrapper),
        constraints,
        transformation,
        GreedySearch() if ours["search"] == "full" else GreedyWordSwapWIR(wir_method=order),
    )


def answer(job: dict[str, Any], model: Any, tokenizer: Any) -> dict[str, Any]:  # noqa: ANN401
    """What becomes of each row of a job, and how long it took."""
    random.seed(job["seed"])
    np.random.seed(job["seed"])  # noqa: NPY002 - TextAttack draws from it
    given = Given() if job["edits"] == "ours" else None
    attack = built(job, given or THEIRS[job["attack"]["name"]](), model, tokenizer)
    found: dict[str, list[Any]] = {"outcomes": [], "queries": [], "texts": []}
    started, cpu = time.perf_counter(), time.process_time()
    for row in job["rows"]:
        if given is not None:
            given.begin(row["text"], row["words"])
        result = attack.attack(row["text"], row["label"])
        wrong = isinstance(result, SkippedAttackResult)
        robust = isinstance(result, FailedAttackResult)
        found["outcomes"].append(WRONG if wrong else ROBUST if robust else FLIPPED)
        found["queries"].append(result.num_queries)
        found["texts"].append(result.perturbed_text())
    return {
        **found,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
    }


def serve(jobs: Iterable[str], answers: IO[str]) -> None:
    """Answer jobs until there are no more."""
    loaded, model, tokenizer = "", None, None
    for line in jobs:
        job = json.loads(line)
        torch.set_num_threads(job["threads"])
        if job["model"] != loaded:
            loaded = job["model"]
            model = AutoModelForSequenceClassification.from_pretrained(loaded).float().eval()
            tokenizer = AutoTokenizer.from_pretrained(loaded)
            model.to(job["device"])
        print(json.dumps(answer(job, model, tokenizer)), file=answers, flush=True)


if __name__ == "__main__":
    with os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8") as kept:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # TextAttack talks on standard output
        serve(sys.stdin, kept)
