"""What a competent user writes in an afternoon: Ray Tune, Hugging Face's Trainer, a live teacher.

    python benchmarks/script.py --teacher MODEL --train TRAIN.parquet --validation OTHER.parquet

`search_vs_script.py` runs it beside `tune-distill search` on the same rows. It needs accelerate,
which Trainer asks for. Nothing here is from tune-distill: Trainer with a `compute_loss` that runs
the teacher, DataCollatorWithPadding, Tune's own MLflowLoggerCallback, a grid of students; texts are
tokenised once and handed to the trials through Ray's object store. Prints a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune import RunConfig, TuneConfig, Tuner


def train_student(config: dict[str, Any], train: Any, validation: Any, given: Any) -> None:  # noqa: ANN401
    """One trial."""
    import torch
    from torch.nn import functional as F
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        BertConfig,
        BertForSequenceClassification,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    torch.set_num_threads(1)
    set_seed(given.seed)
    teacher = AutoModelForSequenceClassification.from_pretrained(
        given.teacher, dtype=torch.float32
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(given.teacher)

    class DistillTrainer(Trainer):  # type: ignore[misc]
        def compute_loss(
            self,
            model: Any,  # noqa: ANN401
            inputs: Any,  # noqa: ANN401
            return_outputs: bool = False,
            **_: Any,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            outputs = model(**inputs)
            with torch.no_grad():
                target = teacher(**{k: v for k, v in inputs.items() if k != "labels"}).logits
            warm = given.temperature
            soft = F.kl_div(
                F.log_softmax(outputs.logits / warm, -1),
                F.log_softmax(target / warm, -1),
                log_target=True,
                reduction="batchmean",
            )
            loss = (1 - given.alpha) * outputs.loss + given.alpha * warm**2 * soft
            return (loss, outputs) if return_outputs else loss

        def prediction_step(
            self,
            model: Any,  # noqa: ANN401
            inputs: Any,  # noqa: ANN401
            prediction_loss_only: bool,
            ignore_keys: Any = None,  # noqa: ANN401
        ) -> Any:  # noqa: ANN401
            with torch.no_grad():  # the teacher has no part in an evaluation
                return None, model(**inputs).logits, inputs["labels"]

    student = BertForSequenceClassification(
        BertConfig(
            vocab_size=teacher.config.vocab_size,
            num_hidden_layers=config["layers"],
            hidden_size=config["hidden_size"],
            num_attention_heads=given.heads,
            intermediate_size=4 * config["hidden_size"],
            num_labels=teacher.config.num_labels,
        )
    )
    trainer = DistillTrainer(
        student,
        TrainingArguments(
            output_dir="out",
            learning_rate=given.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=given.warmup,
            weight_decay=given.weight_decay,
            max_grad_norm=given.clip,
            optim="adamw_torch_fused",
            per_device_train_batch_size=given.batch_size,
            per_device_eval_batch_size=64,
            num_train_epochs=given.epochs,
            bf16=given.bf16,
            seed=given.seed,
            eval_strategy="no",
            save_strategy="no",
            report_to="none",
            logging_strategy="epoch",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda found: {
            "accuracy": float((found.predictions.argmax(-1) == found.label_ids).mean())
        },
    )
    trainer.train()
    accuracy = trainer.evaluate()["eval_accuracy"]
    updates = trainer.state.global_step
    parameters = student.num_parameters()
    tune.report({"accuracy": accuracy, "parameters": parameters, "updates": updates})


def tokenised(file: Path, given: argparse.Namespace) -> Any:  # noqa: ANN401
    """The rows of a file as token numbers."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(given.teacher)
    rows = load_dataset(
        "parquet", data_files=str(file), split="train", cache_dir=str(given.storage / "datasets")
    )
    return rows.map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=given.max_length),
        batched=True,
        remove_columns=["text"],
    )


def main() -> None:
    """Tunes over the grid."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--train", type=Path, required=True, help="parquet: text, label")
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--storage", type=Path, default=Path("studies/script"))
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 192, 256])
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--warmup", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--concurrent", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    given = parser.parse_args()
    given.storage = given.storage.resolve()
    given.storage.mkdir(parents=True, exist_ok=True)
    ray.init(
        num_cpus=given.concurrent,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={
            "env_vars": {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getenv("PYTHONPATH", "")}
        },
    )
    trainable = tune.with_parameters(
        train_student,
        train=tokenised(given.train, given),
        validation=tokenised(given.validation, given),
        given=given,
    )
    tuner = Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={
            "layers": tune.grid_search(given.layers),
            "hidden_size": tune.grid_search(given.widths),
        },
        tune_config=TuneConfig(
            metric="accuracy", mode="max", max_concurrent_trials=given.concurrent
        ),
        run_config=RunConfig(
            name="script",
            storage_path=str(given.storage),
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{given.storage / 'mlflow.db'}",
                    experiment_name="script",
                )
            ],
        ),
    )
    results = tuner.fit()
    found = [
        {
            "student": f"{result.config['layers']}/{result.config['hidden_size']}",
            "accuracy": result.metrics["accuracy"],
            "updates": result.metrics["updates"],
            "seconds": result.metrics["time_total_s"],
        }
        for result in results
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
