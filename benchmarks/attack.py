r"""How fast attacks run, beside TextAttack on the same model, rows, edits and order.

    python benchmarks/attack.py MODEL... --rows ROWS.parquet --text sentence --limit 200 \
        --table near.parquet --wordnet DICT [--textattack PYTHON] [--threads 2]

Both run without a budget, with TextAttack's own orders (unk for char, delete for table, weighted
saliency for wordnet, all edits for pruthi) and our stop words. TextAttack runs in an interpreter of
its own (it cannot live beside Transformers 5), twice: as shipped, where its wrapper pads every
query to the tokenizer's maximum, and padded to the longest text of a query. Where it cannot be
imported there, that is said and ours alone are timed. One line of JSON a measurement.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ORDERS = {"char": "unk", "table": "delete", "wordnet": "saliency", "pruthi": "gradient"}


def ours(job: dict[str, Any], model_name: str, name: str) -> dict[str, Any]:
    """One recipe of ours on one model."""
    import numpy as np
    import torch

    from tune_distill.robustness import ATTACKS
    from tune_distill.robustness.attempt import RowOutcome
    from tune_distill.robustness.opened import Opened
    from tune_distill.robustness.search import attack
    from tune_distill.robustness.table import opened
    from tune_distill.teacher import load, load_tokenizer

    torch.set_num_threads(job["threads"])
    model, tokenizer = load(Path(model_name)), load_tokenizer(Path(model_name))
    torch.nn.Module.to(model, job["device"])
    resources = Opened(**{kind: opened(Path(path)) for kind, path in job["tables"].items()})
    recipe = replace(
        ATTACKS[name], order=ORDERS[name], budget=None, max_fraction=1.0, stop_words=False
    )
    labels = np.array(job["labels"])
    started, cpu = time.perf_counter(), time.process_time()
    found = attack(
        model,
        tokenizer,
        (job["texts"],),
        labels,
        recipe,
        max_length=job["max_length"],
        device=job["device"],
        resources=resources,
        token_budget=job["token_budget"],
    )
    return {
        "engine": "tune-distill",
        "recipe": name,
        "model": model_name,
        "attack": resources.bound(recipe).shown,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "examples": len(labels),
        "robust": float((found.outcomes == RowOutcome.ROBUST).mean()),
        "queries": float(found.queries[found.outcomes != RowOutcome.WRONG].mean()),
    }


def theirs(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """TextAttack's side; run in its own interpreter, which need not have this package."""
    import torch
    from textattack.attack_results import FailedAttackResult, SkippedAttackResult
    from textattack.models.wrappers import HuggingFaceModelWrapper
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(job["threads"])
    for model_name in job["models"]:
        model = AutoModelForSequenceClassification.from_pretrained(model_name).to(job["device"])
        tokenizer = AutoTokenizer.from_pretrained(model_name)

        class Mended(HuggingFaceModelWrapper):
            def __call__(self, texts: list[str]) -> Any:  # noqa: ANN401
                batch = self.tokenizer(
                    texts,
                    padding=True,
                    truncation=True,
                    max_length=job["max_length"],
                    return_tensors="pt",
                ).to(self.model.device)
                with torch.no_grad():
                    return self.model(**batch).logits

        for padding, wrapper in (("as shipped", HuggingFaceModelWrapper), ("mended", Mended)):
            for name in job["recipes"]:
                attack = _textattack(name, wrapper(model, tokenizer), job)
                started, cpu = time.perf_counter(), time.process_time()
                pairs = zip(job["texts"], job["labels"], strict=True)
                results = [attack.attack(text, label) for text, label in pairs]
                seconds, used = time.perf_counter() - started, time.process_time() - cpu
                attacked = [r for r in results if not isinstance(r, SkippedAttackResult)]
                yield {
                    "engine": f"TextAttack, {padding}",
                    "recipe": name,
                    "model": model_name,
                    "seconds": seconds,
                    "cpu_seconds": used,
                    "examples": len(results),
                    "robust": sum(isinstance(r, FailedAttackResult) for r in results)
                    / len(results),
                    "queries": sum(r.num_queries for r in attacked) / max(1, len(attacked)),
                }


def _textattack(name: str, wrapper: Any, job: dict[str, Any]) -> Any:  # noqa: ANN401
    """Their attack of the same edits, constraints and order."""
    from textattack import Attack, constraints, goal_functions, search_methods, transformations
    from textattack.transformations import word_swaps

    stop_words = set(job["stop_words"])
    common = [
        constraints.pre_transformation.RepeatModification(),
        constraints.pre_transformation.StopwordModification(stopwords=stop_words),
    ]
    goal = goal_functions.UntargetedClassification(wrapper)

    class Table(word_swaps.word_swap.WordSwap):
        def _get_replacement_words(self, word: str) -> list[str]:
            return job["near"].get(word.lower(), [])

    character = (
        word_swaps.WordSwapNeighboringCharacterSwap,
        word_swaps.WordSwapRandomCharacterSubstitution,
        word_swaps.WordSwapRandomCharacterDeletion,
        word_swaps.WordSwapRandomCharacterInsertion,
    )
    make: dict[str, Callable[[], tuple[Any, Any]]] = {
        "char": lambda: (
            transformations.CompositeTransformation([edit() for edit in character]),
            search_methods.GreedyWordSwapWIR(wir_method="unk"),
        ),
        "table": lambda: (Table(), search_methods.GreedyWordSwapWIR(wir_method="delete")),
        "wordnet": lambda: (
            word_swaps.WordSwapWordNet(),
            search_methods.GreedyWordSwapWIR(wir_method="weighted-saliency"),
        ),
    }
    if name == "pruthi":
        from textattack.attack_recipes import Pruthi2019

        return Pruthi2019.build(wrapper)
    transformation, search = make[name]()
    if name == "char":
        common.append(constraints.overlap.LevenshteinEditDistance(30))
    return Attack(goal, common, transformation, search)


def beside(python: str, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """TextAttack's measurements, from its own interpreter."""
    tried = subprocess.run([python, "-c", "import textattack"], capture_output=True, text=True)
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
        sys.stderr.write(f"TextAttack can't be imported by {python}: {reason}\n")
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(job, file)
        file.flush()
        with subprocess.Popen(
            [python, __file__, "--job", file.name], stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                if line.startswith('{"engine"'):  # TextAttack writes there, too
                    yield json.loads(line)
        if process.returncode:
            sys.stderr.write(f"TextAttack's run ended with code {process.returncode}\n")


def main() -> None:
    """Reads the arguments, runs every pair of model and recipe, prints a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", help="folders of sequence classifiers")
    parser.add_argument("--rows", type=Path, help="parquet, CSV, TSV or JSON lines")
    parser.add_argument("--text", default="sentence")
    parser.add_argument("--label", default="label")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--recipes", nargs="+", default=["char", "table", "pruthi"])
    parser.add_argument("--table", type=Path)
    parser.add_argument("--wordnet", type=Path)
    parser.add_argument("--textattack", help="an interpreter that can import it")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--token-budget", type=int, default=4096, help="larger on a GPU: 65536")
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        for found in theirs(json.loads(given.job.read_text(encoding="utf-8"))):
            print(json.dumps(found), flush=True)
        return
    if not given.models or given.rows is None:
        parser.error("a model and --rows are needed")
    with tempfile.TemporaryDirectory() as folder:
        job = _job(given, Path(folder))
        lines = [ours(job, model, name) for model in given.models for name in job["recipes"]]
        if given.textattack:
            lines += beside(given.textattack, job)
    for found in lines:
        found["examples_per_second"] = found["examples"] / found["seconds"]
        print(json.dumps(found))


def _job(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All that both sides need, as plain data; tables are built before any clock runs."""
    from tune_distill.measure.robustness import select_rows
    from tune_distill.robustness import neighbours
    from tune_distill.robustness.static import read
    from tune_distill.robustness.stop_words import STOP_WORDS
    from tune_distill.robustness.table import opened
    from tune_distill.teacher import load
    from tune_distill.teacher.suit import own_names

    names = own_names(load(Path(given.models[0])))
    rows = read(given.rows, "--rows", (given.text,), given.label, names)
    chosen = rows.take(select_rows(rows.labels.astype("int64"), given.limit))
    tables = {}
    for kind in ("table", "wordnet"):
        if source := getattr(given, kind):
            tables[kind] = str(folder / f"{kind}.parquet")
            neighbours.read(source, f"--{kind}").write(Path(tables[kind]))
    near = opened(Path(tables["table"])) if "table" in tables else None
    kept = ("models", "recipes", "threads", "device", "max_length", "token_budget")
    return {
        **{name: getattr(given, name) for name in kept},
        "texts": chosen.texts[0],
        "labels": chosen.labels.tolist(),
        "tables": tables,
        "near": {word: near.near(word) for word in near.words} if near else {},
        "stop_words": sorted(STOP_WORDS),
    }


if __name__ == "__main__":
    main()
