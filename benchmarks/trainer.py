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
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from common import small, table
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainingArguments

from tune_distill import cache, reading, student, tasks
from tune_distill.inputs import Inputs, teacher_config
from tune_distill.measure.accuracy import of_answers
from tune_distill.methods.kd import KD
from tune_distill.prepare import prepare
from tune_distill.signals import Needs
from tune_distill.spec import TrainSpec, TrialConfig, resolve
from tune_distill.spec.load import override
from tune_distill.tasks.batches import batches
from tune_distill.train import predict, train
from tune_distill.train.course import schedule

SEED, LOGITS = 1, Needs(logits=True)
HEADER = (
    *("student", "Trainer's schedule", "updates", "loss, ours", "loss, Trainer"),
    *("largest difference of logits", "same answers", "accuracy, ours", "accuracy, Trainer"),
)


class Distiller(Trainer):  # type: ignore[misc]
    """Trainer on batches made before, with logit distillation's loss."""

    def __init__(
        self, model: PreTrainedModel, method: KD, config: TrainSpec, made: list[Any], own: bool
    ) -> None:
        self.method, self.warmup, self.own = method, config.warmup, own
        arguments = TrainingArguments(
            output_dir=tempfile.mkdtemp(prefix="trainer"),
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
        super().__init__(model, arguments, train_dataset=made)
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> Any:  # noqa: ANN401, D102
        return torch.utils.data.DataLoader(self.train_dataset, batch_size=None, shuffle=False)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:  # noqa: ANN401, D102
        if self.own:
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = LambdaLR(
            optimizer or self.optimizer,
            lambda update: schedule(update, num_training_steps, self.warmup),
        )
        return self.lr_scheduler

    def compute_loss(  # noqa: D102
        self,
        model: Any,  # noqa: ANN401
        inputs: Any,  # noqa: ANN401
        return_outputs: bool = False,
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        warm, target = self.method.temperature, inputs.pop("target")
        found = model(**inputs)
        log_q, log_p = (F.log_softmax(x / warm, -1) for x in (found.logits, target))
        soft = F.kl_div(log_q, log_p, log_target=True, reduction="batchmean")
        loss = (1 - self.method.alpha) * found.loss + self.method.alpha * warm**2 * soft
        return (loss, found) if return_outputs else loss


def rows(inputs: Inputs, shape: str, learning_rate: float) -> Iterator[list[object]]:
    """Two of the table."""
    layers, width = map(int, shape.split("/"))
    config = TrialConfig.from_params(
        {
            **{"student.layers": layers, "student.hidden_size": width, "student.heads": 4},
            **{"student.dropout": 0.0, "student.init": "random", "method": "kd"},
            **{"train.epochs": 1, "train.learning_rate": learning_rate, "train.seed": SEED},
            "train.precision": "float32",
        }
    )
    task = tasks.open_prepared(reading.find(inputs.readings, config.student).task)
    taught = teacher_config(inputs.teacher)
    start = student.build(student.config(config.student, taught, task.label_names, task.kind), SEED)
    method = config.method
    if inputs.signals is None or not isinstance(method, KD):
        raise SystemExit("the teacher's logits are not cached")
    signals = cache.TeacherSignals(inputs.signals, LOGITS)
    ours = copy.deepcopy(start)
    (epoch,) = train(ours, method, task.train, config.train, seed=SEED, teacher=signals)
    made = [
        {**batch.inputs(), "labels": batch.labels, "target": signals(batch, LOGITS).scores()}
        for batch in map(task.train.batch, batches(task.train, config.train.batch_size, SEED, 0))
    ]
    for own in (False, True):
        other = copy.deepcopy(start)
        told = Distiller(other, method, config.train, made, own).train()
        answers = [predict(model, task.search, "cpu") for model in (ours, other)]
        mine, theirs = answers
        same = (mine.argmax(1) == theirs.argmax(1)).mean()
        scores = [of_answers(each, task.search, task.metric).score for each in answers]
        yield [
            *(shape, "its own" if own else "ours", told.global_step),
            *(f"{epoch.losses['total']:.4f}", f"{told.training_loss:.4f}"),
            *(f"{abs(mine - theirs).max():.1e}", f"{same:.3f}"),
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
    rate = given.learning_rate
    table(HEADER, (row for shape in given.students for row in rows(inputs, shape, rate)))


if __name__ == "__main__":
    main()
