"""Records real distillation curves: the table that `hypervolume.py` replays.

    python benchmarks/curves.py --set teacher.model=PATH --set task.dataset=glue/sst2

Random draws of STUDY's space, each trained for nine epochs by `trial.run` itself, its accuracy on
the search split kept after every one. What has run is kept in `--storage`, one line a run: the
same command goes on, and ends with `benchmarks/curves.parquet`, one row a config:

    its knobs by their paths · size_mb, parameters, flops · updates, accuracy: a list over the rungs
    seconds: of its training and measuring

What the table was made with stands in the file's own metadata, under `made`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from tune_distill import trial
from tune_distill.draws import infeasible
from tune_distill.inputs import Inputs
from tune_distill.prepare import prepare
from tune_distill.record import Rung
from tune_distill.space import Constant, Params, at_random
from tune_distill.spec import StudySpec, dump, resolve
from tune_distill.spec.load import Document, override

TABLE = Path(__file__).with_name("curves.parquet")
EPOCHS = 9  # 1, 3 and 9 are the rungs of successive halving by three
STUDY: Document = {
    "name": "curves",
    "task": {"text": "sentence", "max_length": 64, "max_train_rows": 2000},
    "teacher": {},
    "space": {
        "student": {
            "layers": {"int": [1, 3]},
            "hidden_size": [64, 96, 128, 192],
            "heads": [2, 4, 8],
            "intermediate_ratio": [2.0, 4.0],
            "init": ["uniform", "random"],
            "vocab": [1000, 4000, 12000],
        },
        "method": {
            "finetune": {},
            "kd": {"temperature": {"log": [1.0, 16.0]}, "alpha": {"uniform": [0.2, 1.0]}},
        },
        "train": {"learning_rate": {"log": [1.0e-4, 5.0e-3]}, "epochs": EPOCHS},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.5},
        "size_mb": {"goal": "min", "reference": 15.0},
    },
}


def configs(spec: StudySpec, inputs: Inputs, seed: int) -> Iterator[Params]:
    """Random draws that can be trained, each with a seed of its own: the same for the same seed."""
    for number in count():
        params = spec.search_space.draw(at_random(random.Random(f"curves/{seed}/{number}")))
        if not infeasible(spec, inputs, params):
            yield {**params, "train.seed": number}


def record(document: Document, inputs: Inputs, params: Params, storage: Path) -> dict[str, Any]:
    """Trains one config; what is known of it at each rung and of its size."""
    folder = storage / "runs" / str(params["train.seed"])
    folder.mkdir(parents=True, exist_ok=True)
    rungs: list[Rung] = []
    began = time.process_time()
    outcome = trial.run(resolve(document), params, inputs, folder, rungs.append)
    shutil.rmtree(folder)
    return {
        "params": params,
        "size_mb": outcome.size_mb,
        "parameters": outcome.parameters,
        "flops": outcome.flops,
        "updates": [rung.updates for rung in rungs],
        "accuracy": [rung.accuracy for rung in rungs],
        "seconds": time.process_time() - began,
    }


def known(file: Path) -> list[dict[str, Any]]:
    """What was recorded so far; a line that a kill cut short is left out, and recorded again."""
    rows = []
    for line in file.read_text().splitlines() if file.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def write(rows: list[dict[str, Any]], spec: StudySpec, document: Document, file: Path) -> None:
    """The table, a row a config in the order of their seeds; knobs that never vary are left out."""
    rows = sorted(rows, key=lambda row: row["params"]["train.seed"])
    space = spec.search_space
    names = [
        path
        for path in dict.fromkeys(path for row in rows for path in row["params"])
        if not isinstance(space.at(path), Constant) or path == "train.seed"
    ]
    knobs = {path: [row["params"].get(path) for row in rows] for path in names}
    rest = {name: [row[name] for row in rows] for name in rows[0] if name != "params"}
    table = pa.table({**knobs, **rest})
    made = {
        "command": "python benchmarks/curves.py --set teacher.model=PATH --set task...",
        "date": time.strftime("%Y-%m-%d"),
        "study": dump({k: v for k, v in document.items() if k not in ("teacher", "task")}),
        "rows": spec.task.max_train_rows,
        "task": Path(spec.task.dataset or (spec.task.files and spec.task.files.train) or "").name,
        "teacher": Path(spec.teacher.model or "").name,
        "torch": str(torch.__version__),
        "machine": f"{platform.machine()}, one thread a run",
    }
    metadata = {**(table.schema.metadata or {}), b"made": json.dumps(made).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


def main() -> None:
    """Records what is missing, then writes the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/curves-benchmark"))
    parser.add_argument("--configs", type=int, default=320, help="0 writes what was recorded")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--table", type=Path, default=TABLE, help="the file to write")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}  # of the workers
    document = override(STUDY, arguments.set)
    spec, storage = resolve(document), arguments.storage
    storage.mkdir(parents=True, exist_ok=True)
    file = storage / "results.jsonl"
    rows = known(file)
    if arguments.configs:
        inputs = prepare(spec, storage / "cache", lambda line: print(line, file=sys.stderr))
        have = {row["params"]["train.seed"] for row in rows}
        wanted = list(islice(configs(spec, inputs, arguments.seed), arguments.configs))
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
            waiting = [
                pool.submit(record, document, inputs, params, storage)
                for params in wanted
                if params["train.seed"] not in have
            ]
            for done in as_completed(waiting):
                row = done.result()
                rows.append(row)
                with file.open("a") as log:
                    log.write(json.dumps(row) + "\n")
                line = f"{row['seconds']:.1f} s  {row['accuracy'][-1]:.4f}  {row['size_mb']:.2f} MB"
                print(f"[{len(rows)}] {line}", file=sys.stderr, flush=True)
    write(rows, spec, document, arguments.table)
    print(f"{len(rows)} configs in {arguments.table}")


if __name__ == "__main__":
    main()
