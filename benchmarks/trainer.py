"""The loop beside Hugging Face's Trainer: is what is learned the same?

    python benchmarks/trainer.py --set teacher.model=PATH --set task.dataset=glue/sst2

Each of --students is trained for an epoch by both from the same random weights, in the same batches
on the same teacher's logits, in float32 without dropout: AdamW, decay, clipping, warm-up, the loss
of `script.py`. Trainer takes our schedule, then its own, whose first update has a learning rate of
0 where ours begins at the first step of its rise. Prints the losses, the largest difference of the
logits on the search rows, the share of these with the same answer, and both accuracies. It needs
accelerate, which Trainer asks for.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import small, table
from limit import SEED, Subject, params
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from tune_distill.inputs import Inputs
from tune_distill.measure.accuracy import of_answers
from tune_distill.prepare import prepare
from tune_distill.spec import resolve
from tune_distill.spec.load import override
from tune_distill.train import predict, train
from tune_distill.train.course import schedule

HEADER = (
    *("student", "Trainer's schedule", "updates", "loss, ours", "loss, Trainer"),
    *("largest difference of logits", "same answers", "accuracy, ours", "accuracy, Trainer"),
)


class Distiller(Trainer):  # type: ignore[misc]
    """Trainer on a subject's batches and loss."""

    def __init__(self, subject: Subject, model: PreTrainedModel, folder: Path, own: bool) -> None:
        self.subject, self.own, config = subject, own, subject.config
        arguments = TrainingArguments(
            output_dir=str(folder),
            learning_rate=config.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=config.warmup,
            weight_decay=config.weight_decay,
            max_grad_norm=config.clip,
            optim="adamw_torch_fused",
            num_train_epochs=1,
            save_strategy="no",
            report_to="none",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        made = [
            {**batch.inputs(), "labels": batch.labels, "target": logits}
            for batch, logits in subject.made()
        ]
        super().__init__(model, arguments, train_dataset=made)
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> Any:  # noqa: ANN401, D102
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=None, shuffle=False)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ANN401, D102
        if self.own:
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = LambdaLR(
            optimizer or self.optimizer,
            lambda update: schedule(update, num_training_steps, self.subject.config.warmup),
        )
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:  # noqa: ANN401, D102
        labels, target = inputs.pop("labels"), inputs.pop("target")
        return self.subject.loss(model(**inputs).logits, labels, target)


def rows(inputs: Inputs, shape: str, learning_rate: float, folder: Path) -> Iterator[list[object]]:
    """Two of the table."""
    plain = {"student.dropout": 0.0, "student.init": "random", "train.precision": "float32"}
    drawn = {"student.heads": 4, "train.learning_rate": learning_rate}
    subject = Subject(inputs, {**params(shape, "kd"), **plain, **drawn})
    model, task = copy.deepcopy(subject.model), subject.task
    given = (subject.method, subject.data, subject.config)
    (epoch,) = train(model, *given, seed=SEED, teacher=subject.signals)
    ours = predict(model, task.search)
    for own in (False, True):
        model = copy.deepcopy(subject.model)
        told = Distiller(subject, model, folder, own).train()
        theirs = predict(model, task.search)
        same = (ours.argmax(1) == theirs.argmax(1)).mean()
        scores = [of_answers(each, task.search, task.metric).score for each in (ours, theirs)]
        yield [
            *(shape, "its own" if own else "ours", told.global_step),
            *(f"{epoch.losses['total']:.4f}", f"{told.training_loss:.4f}"),
            *(f"{abs(ours - theirs).max():.1e}", f"{same:.3f}"),
            *(f"{score:.3f}" for score in scores),
        ]


def main() -> None:
    """Reads the arguments, prepares the teacher's signals, prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/trainer-benchmark"))
    parser.add_argument("--rows", type=int, default=8000, help="of train, at most")
    parser.add_argument("--students", nargs="+", default=["1/128", "2/128", "4/256"])
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    given = parser.parse_args()
    torch.set_num_threads(1)
    spec = resolve(override(small("trainer", given.rows, ["kd"]), given.set))
    inputs = prepare(spec, given.storage / "cache", lambda line: print(line, file=sys.stderr))
    rest = (given.learning_rate, given.storage / "trainer")
    table(HEADER, (row for shape in given.students for row in rows(inputs, shape, *rest)))


if __name__ == "__main__":
    main()
