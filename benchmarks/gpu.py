"""The loop on a GPU, against the student's arithmetic; needs torch and transformers alone.

    python benchmarks/gpu.py --device cuda --peak-tflops 989
    python benchmarks/gpu.py --device cpu --students 1/32 --teacher 2/64 --rows 256 --packed 1 2

    loop      tokens a second of `train` (kd, from a warm cache), and the share of the peak that its
              arithmetic is: 3 x the forward pass's operations (one forward, two backward) over
              seconds x peak
    cache     rows a second of the teacher's signals computed, and of its bare forward passes
    packed    K trials on one GPU, each in a process of its own, over the same K in turn

Texts are random numbers of --length tokens, give or take a quarter, of BERT's vocabulary. The peak
is the device's dense bf16 rate (989 TFLOP/s: an H100 or H200). Prints three tables; ends with an
error if any framework of the edges (Ray, MLflow, Optuna, ...) was imported on the way.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from common import table

from tune_distill import cache
from tune_distill.cache.build import CPU_TOKENS, GPU_TOKENS
from tune_distill.measure.flops import flops
from tune_distill.methods.kd import KD
from tune_distill.signals import Needs
from tune_distill.spec import TrainSpec
from tune_distill.tasks import Encoded, ordered_batches
from tune_distill.train import train

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VOCABULARY, SPECIAL = 30_522, 1_000  # BERT's; its words begin there
EDGES = ("ray", "mlflow", "optuna", "plotly", "typer", "onnx")
LOOP = ("student", "tokens a second", "TFLOP/s", "of the peak", "least to largest")
CACHE = ("teacher", "rows a second", "bare", "seconds over bare (least to largest)")
PACKED = ("student", "trials at once", "seconds", "rate over one at a time")
FORWARDS = 3  # of an update: one, and twice as much backward


def texts(rows: int, length: int) -> Encoded:
    """Random rows of about so many tokens."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(max(2, 3 * length // 4), 5 * length // 4 + 1, rows)
    tokens = rng.integers(SPECIAL, VOCABULARY, lengths.sum()).astype(np.uint16)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Encoded(tokens, None, offsets, rng.integers(0, 2, rows), pad_id=0)


def bert(shape: str) -> PreTrainedModel:
    """A random classifier of LAYERS/WIDTH; heads of 64, or of what there is."""
    from transformers.models.bert.configuration_bert import BertConfig
    from transformers.models.bert.modeling_bert import BertForSequenceClassification

    layers, width = map(int, shape.split("/"))
    heads = 12 if width % 12 == 0 else max(1, width // 64)
    config = BertConfig(
        vocab_size=VOCABULARY,
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )
    model: PreTrainedModel = BertForSequenceClassification(config)
    model.train(mode=False)
    return model


class Trial:
    """A student taught by cached logits."""

    def __init__(self, shape: str, data: Encoded, signals: Path, given: argparse.Namespace) -> None:
        self.model, self.data, self.device = bert(shape), data, given.device
        self.config = TrainSpec(batch_size=given.batch, epochs=1 + given.turns)
        self.signals = cache.TeacherSignals(signals, Needs(logits=True))

    def epochs(self) -> Iterator[float]:
        """Seconds of each epoch; the first wakes the device."""
        run = train(
            self.model,
            KD(),
            self.data,
            self.config,
            seed=0,
            teacher=self.signals,
            device=self.device,
        )
        while True:
            began = time.perf_counter()
            if next(run, None) is None:
                return
            _wait(self.device)
            yield time.perf_counter() - began


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def loop(given: argparse.Namespace, data: Encoded, signals: Path) -> Iterator[list[str]]:
    """Rows of the first table."""
    for shape in given.students:
        one = Trial(shape, data, signals, given)
        _, *seconds = one.epochs()
        work = FORWARDS * flops(one.model.config, data.lengths) * len(data) / 1e12
        share = [100 * work / given.peak_tflops / each for each in seconds]
        rate = len(data.tokens) / statistics.median(seconds)
        yield [
            shape,
            *(f"{rate:,.0f}", f"{work / statistics.median(seconds):.2f}"),
            *(f"{statistics.median(share):.1f} %", f"{min(share):.1f} to {max(share):.1f} %"),
        ]


def built(given: argparse.Namespace, data: Encoded, storage: Path) -> tuple[Path, list[str]]:
    """The folder of the teacher's logits, and the row of the second table."""
    model = bert(given.teacher)
    budget = GPU_TOKENS if given.device.startswith("cuda") else CPU_TOKENS
    made = [data.batch(rows).to(given.device) for rows in ordered_batches(data, budget)]
    model.to(given.device)
    pairs: list[tuple[float, float]] = []
    for turn in range(1 + given.turns):
        began = time.perf_counter()
        with torch.inference_mode():
            for batch in made:
                model(**batch.inputs()).logits.cpu()
        bare, began = time.perf_counter() - began, time.perf_counter()
        found = cache.ensure(
            model,
            data,
            Needs(logits=True),
            storage / str(turn),
            limit_gb=np.inf,
            say=lambda _: None,
            device=given.device,
        )
        pairs.append((time.perf_counter() - began, bare))
    ratios = [ours / bare for ours, bare in pairs[1:]]
    rates = [len(data) / statistics.median(column) for column in zip(*pairs[1:], strict=True)]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return found.folder, [given.teacher, *(f"{rate:,.0f}" for rate in rates), spread]


def worker(shape: str, data: Encoded, signals: Path, given: Any, start: Barrier, told: Any) -> None:  # noqa: ANN401
    """One of K trials: its epochs after the first, which all begin together."""
    torch.set_num_threads(1)
    epochs = Trial(shape, data, signals, given).epochs()
    next(epochs)
    start.wait()
    began = time.perf_counter()
    for _ in epochs:
        pass
    told.put((began, time.perf_counter()))


def packed(given: argparse.Namespace, data: Encoded, signals: Path) -> Iterator[list[str]]:
    """Rows of the third table."""
    context = multiprocessing.get_context("spawn")
    for shape in given.students:
        alone = 0.0
        for count in sorted({1, *given.packed}):
            start, told = context.Barrier(count), context.SimpleQueue()
            work = (shape, data, signals, given, start, told)
            running = [context.Process(target=worker, args=work) for _ in range(count)]
            for process in running:
                process.start()
            times = [told.get() for _ in running]
            for process in running:
                process.join()
            seconds = max(end for _, end in times) - min(began for began, _ in times)
            alone = alone or seconds
            yield [shape, str(count), f"{seconds:.2f}", f"{count * alone / seconds:.2f}"]


def main() -> None:
    """Reads the arguments and prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="dense bf16")
    parser.add_argument("--students", nargs="+", default=["2/128", "4/312", "6/768"])
    parser.add_argument("--teacher", default="12/768")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=32, help="tokens of a row, about")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--packed", type=int, nargs="+", default=[1, 2, 4, 8])
    given = parser.parse_args()
    torch.manual_seed(0)
    data, storage = texts(given.rows, given.length), Path(tempfile.mkdtemp(prefix="gpu"))
    name = torch.cuda.get_device_name(given.device) if given.device != "cpu" else "CPU"
    print(f"{name}, torch {torch.__version__}, {len(data):,} rows, batches of {given.batch}")
    try:
        signals, row = built(given, data, storage)
        table(LOOP, loop(given, data, signals))
        table(CACHE, iter([row]))
        table(PACKED, packed(given, data, signals))
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    if found := [edge for edge in EDGES if edge in sys.modules]:
        raise SystemExit(f"imported on the way: {', '.join(found)}")
    print(f"\nnone of {', '.join(EDGES)} was imported")


if __name__ == "__main__":
    main()
