r"""Row by row, whether our engine and TextAttack's come to the same outcomes.

    python benchmarks/parity.py MODEL --textattack PYTHON --rows ROWS.parquet --text sentence \
        --table near.parquet --wordnet DICT --recipes table char:unk wordnet [--write OUT.parquet]

PYTHON is an interpreter that can import TextAttack (`textattack_side.py` says how to get one). A
recipe may name its order (char:unk). Both engines get the same candidates of each word; with
`--edits theirs`, TextAttack makes its own with its own generator (char, pruthi, wordnet), and the
two success rates are compared on the same rows. One line of JSON a recipe. `--write` files
TextAttack's outcomes, texts as hashes, for tests that have no TextAttack.
"""

from __future__ import annotations

import argparse
import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

import beside
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tune_distill import teacher
from tune_distill.measure.robustness import select_rows
from tune_distill.robustness import Attack, neighbours, static
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.opened import Opened
from tune_distill.statistics import paired_difference
from tune_distill.teacher.suit import own_names

Chosen = tuple[beside.Rows, np.ndarray]  # rows, and which of the file's they are


def text_hash(text: str) -> str:
    """Sixteen hex digits, of the text as a reader sees it: spaces at its ends don't count."""
    return blake2b(text.strip().encode(), digest_size=8).hexdigest()


def compared(
    attack: Attack, ours: beside.Outcomes, theirs: beside.Outcomes, wordings: bool
) -> dict[str, Any]:
    """How far the two agree."""
    share, other = beside.agreement(ours, theirs)
    both = (ours.outcomes == RowOutcome.FLIPPED) & (theirs.outcomes == RowOutcome.FLIPPED)
    robust = [one.outcomes == RowOutcome.ROBUST for one in (ours, theirs)]
    apart = paired_difference(*robust)
    same = [text_hash(ours.texts[at]) == text_hash(theirs.texts[at]) for at in np.flatnonzero(both)]
    return {
        "recipe": f"{attack.name}:{attack.order}",
        "rows": len(ours.outcomes),
        "same_outcome": share,
        "other_rows": other[:20],
        "robust": [float(one.mean()) for one in robust],
        "difference": [float(robust[0].mean() - robust[1].mean()), apart.low, apart.high],
        **({"both_flipped": int(both.sum()), "same_text": int(sum(same))} if wordings else {}),
        "queries": [float(one.queries[one.outcomes > 0].mean()) for one in (ours, theirs)],
        "cpu_seconds": [ours.cpu_seconds, theirs.cpu_seconds],
    }


def chosen(path: Path, text: str, label: str, names: tuple[str, ...], limit: int | None) -> Chosen:
    """The rows of a file, or a fixed, stratified part of them."""
    rows = static.read(path, "--rows", (text,), label, names)
    labels = rows.labels.astype("int64")
    taken = select_rows(labels, limit) if limit else np.arange(len(labels))
    kept = rows.take(taken)
    return beside.Rows(list(kept.texts[0]), kept.labels.astype("int64")), taken


def main() -> None:
    """Reads the arguments, runs each recipe on both engines, prints and files what they found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--textattack", required=True, help="an interpreter that can import it")
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--limit", type=int, help="rows; all of them, unless this is given")
    parser.add_argument("--recipes", nargs="+", default=["table", "char"])
    parser.add_argument("--edits", choices=("ours", "theirs"), default="ours")
    parser.add_argument("--table", type=Path)
    parser.add_argument("--wordnet", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", type=Path, help="a parquet of TextAttack's outcomes")
    parser.add_argument("--theirs-alone", action="store_true", help="file them, and leave ours")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    subject = beside.Subject(teacher.load(given.model), teacher.load_tokenizer(given.model))
    names = own_names(subject.model)
    rows, taken = chosen(given.rows, given.text, given.label, names, given.limit)
    resources = Opened(
        table=neighbours.read(given.table, "--table") if given.table else None,
        wordnet=neighbours.read(given.wordnet, "--wordnet") if given.wordnet else None,
    )
    filed = []
    with beside.TextAttack(given.textattack, given.model, threads=given.threads) as textattack:
        for asked in given.recipes:
            attack = beside.recipe(*asked.split(":"))
            theirs = textattack.outcomes(attack, rows, resources, edits=given.edits)
            filed.append(
                pa.table(
                    {
                        "recipe": [f"{attack.name}:{attack.order}"] * len(rows),
                        "row": taken.astype(np.int32),
                        "outcome": theirs.outcomes,
                        "queries": theirs.queries.astype(np.int32),
                        "text": [text_hash(text) for text in theirs.texts],
                    }
                )
            )
            if given.write:  # after each: a long run that ends early keeps what it has
                pq.write_table(pa.concat_tables(filed), given.write, compression="zstd")
            if not given.theirs_alone:
                ours = beside.ours(attack, rows, subject, resources)
                print(json.dumps(compared(attack, ours, theirs, given.edits == "ours")), flush=True)


if __name__ == "__main__":
    main()
