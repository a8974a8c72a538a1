"""Our engine against TextAttack 0.3.11's outcomes, committed: nothing here needs TextAttack.

They were computed by `benchmarks/parity.py`, in an environment of TextAttack's own, on the same
model, rows, candidates and constraints, without a budget. After a deliberate change of a recipe:

    python -c "from tests.formula import write; write('formula')"
    python benchmarks/parity.py formula --textattack PYTHON --rows tests/fixtures/parity_rows.csv \\
        --table tests/fixtures/parity_table.json --wordnet tests/fixtures/parity_table.json \\
        --recipes table:delete table:unk char:unk pruthi:unk wordnet:saliency textbugger:delete \\
        --write tests/fixtures/parity.parquet
    python benchmarks/parity.py ../shared/teachers/minilm-l6-sst2 --textattack PYTHON \\
        --rows ../shared/data/glue/sst2/validation.parquet --text sentence \\
        --table ../shared/data/robustness/counterfitted_neighbours_top8.parquet \\
        --wordnet ../shared/data/robustness/wordnet_synonyms.parquet \\
        --recipes table:delete --write tests/fixtures/parity_sst2.parquet
"""

from __future__ import annotations

import csv
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests import formula
from tune_distill import teacher
from tune_distill.robustness import ATTACKS, neighbours
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.search import attack

FIXTURES = Path(__file__).parents[1] / "fixtures"
SMALL = [
    *("table:delete", "table:unk", "char:unk", "pruthi:unk"),
    *("wordnet:saliency", "textbugger:delete"),
]
REAL = ["table:delete"]
# What both make of a flipped text. Pruthi's errors are all tried, and the worst kept, by TextAttack
# (ours ends at the first that flips); PWWS looks at all words first (ours ends where one flips).
SAME_TEXTS = {"pruthi:unk": 0.5, "wordnet:saliency": 0.75}


def theirs(name, recipe):
    """TextAttack's (rows, outcomes, text hashes)."""
    read = pq.read_table(FIXTURES / name, filters=[("recipe", "=", recipe)]).to_pydict()
    return np.array(read["row"]), np.array(read["outcome"]), read["text"]


def ours(model, tokenizer, texts, labels, recipe, resources):
    name, order = recipe.split(":")
    asked = replace(ATTACKS[name], order=order, budget=None, joined=True)
    return attack(
        model, tokenizer, (texts,), np.array(labels), asked, max_length=128, resources=resources
    )


def hashed(text):
    return blake2b(text.strip().encode(), digest_size=8).hexdigest()


def same_texts(found, outcomes, hashes):
    """Of the rows that both flipped, the share that both left with the same text."""
    both = np.flatnonzero((found.outcomes == RowOutcome.FLIPPED) & (outcomes == RowOutcome.FLIPPED))
    return np.mean([hashed(found.texts[0][row]) == hashes[row] for row in both])


@pytest.fixture(scope="module")
def small():
    table = neighbours.read(FIXTURES / "parity_table.json", "table")
    with (FIXTURES / "parity_rows.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["text"] for row in rows], [int(row["label"]) for row in rows]
    return formula.bert(), formula.tokenizer(), texts, labels, Opened(table=table, wordnet=table)


@pytest.mark.parametrize("recipe", SMALL)
def test_rows_end_as_in_textattack(small, recipe):
    model, tokenizer, texts, labels, resources = small
    rows, outcomes, hashes = theirs("parity.parquet", recipe)
    found = ours(model, tokenizer, texts, labels, recipe, resources)
    assert rows.tolist() == list(range(100))
    assert set(outcomes) == set(RowOutcome)  # each of the three is there to be missed
    assert np.mean(found.outcomes == outcomes) >= 0.99
    assert same_texts(found, outcomes, hashes) >= SAME_TEXTS.get(recipe, 0.95)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recipe", REAL)
def test_sst2s_rows_end_as_in_textattack(shared, recipe):
    folder, kept = shared / "teachers" / "minilm-l6-sst2", shared / "data" / "robustness"
    table = pq.read_table(shared / "data" / "glue" / "sst2" / "validation.parquet").to_pydict()
    resources = Opened(
        table=neighbours.read(kept / "counterfitted_neighbours_top8.parquet", "table"),
        wordnet=neighbours.read(kept / "wordnet_synonyms.parquet", "wordnet"),
    )
    rows, outcomes, hashes = theirs("parity_sst2.parquet", recipe)
    texts, labels = [[table[name][row] for row in rows] for name in ("sentence", "label")]
    model, tokenizer = teacher.load(folder), teacher.load_tokenizer(folder)
    found = ours(model, tokenizer, texts, labels, recipe, resources)
    assert len(rows) == 872
    assert np.mean(found.outcomes == outcomes) >= 0.99
    assert same_texts(found, outcomes, hashes) >= SAME_TEXTS.get(recipe, 0.95)
