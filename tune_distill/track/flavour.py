"""The files of an exported student in MLflow's `transformers` flavour.

With signature and input example, so that `mlflow.pyfunc` answers texts; with its card, and without
the paths of the machine that saved it.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_distill.teacher import loading

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from transformers import Pipeline

_TALKING = (
    *("mlflow.transformers", "mlflow.models.model"),
    "mlflow.store.model_registry.abstract_store",
)
_NEEDS = ("torch", "transformers", "safetensors")


@dataclass(frozen=True)
class Student:
    """An exported student as MLflow is told of it.

    Attributes:
        number: of its trial.
        name: what it is called.
        folder: Hugging Face files.
        example: inputs of its pipeline: texts, or {"text": ..., "text_pair": ...} of pairs.
        metrics: of the export, by name; the trial's own are there already.
    """

    number: int
    name: str
    folder: Path
    example: Sequence[str | Mapping[str, str]]
    metrics: Mapping[str, float]


def save(student: Student, model: LoggedModel, run: Run, to: Path) -> None:
    """The files of a LoggedModel."""
    import pandas as pd
    from mlflow.models import Model, infer_signature
    from mlflow.transformers import save_model

    pipe = _pipeline(student)
    several = pipe.model.config.problem_type == "multi_label_classification"
    example = list(student.example)
    given = pd.DataFrame(example) if isinstance(example[0], Mapping) else example
    answers = None if several else pd.DataFrame({"label": ["a"], "score": [0.5]})
    save_model(
        pipe,
        path=str(to),
        mlflow_model=Model(
            artifact_path=model.artifact_location,
            run_id=run.info.run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        ),
        task="text-classification",
        signature=infer_signature(given, answers),
        input_example=example,
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in _NEEDS],
        model_card=_card(student.folder),
        model_config={"top_k": None} if several else None,
    )
    (to / "LICENSE.txt").unlink(missing_ok=True)  # that the hub has none of this name


def _pipeline(student: Student) -> Pipeline:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(
        student.folder, use_safetensors=True, local_files_only=True
    )
    tokenizer = AutoTokenizer.from_pretrained(student.folder, local_files_only=True)
    # MLflow files this name, and asks the hub for the license of what could be a repository.
    model.name_or_path = model.config.name_or_path = f"./{student.name}"
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def _card(folder: Path) -> Any:  # noqa: ANN401 - huggingface_hub's ModelCard
    from huggingface_hub import ModelCard

    return ModelCard.load(folder / "README.md", ignore_metadata_errors=True)


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow without its advice on licenses and types, and Transformers without its bars."""
    loggers = [logging.getLogger(name) for name in _TALKING]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with loading.quiet(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"mlflow\.")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
