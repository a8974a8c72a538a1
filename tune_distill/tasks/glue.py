"""The tasks of GLUE by name: text columns, metrics, validation splits and label names.

Wang et al. 2019, GLUE (1804.07461). Where GLUE reports two figures a task (MRPC and QQP: F1 and
accuracy, STS-B: Pearson and Spearman), a search goes by the first; `task.metric` asks for another.
MNLI has two validation sets: of the genres that train has, and of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tune_distill.errors import DataError
from tune_distill.spec.problems import did_you_mean


@dataclass(frozen=True)
class GlueTask:
    """What the GLUE paper fixes about one task; `label_names` is empty for a regression.

    more: the splits of the hub that are held out beside `validation`, by their name here
    """

    text: tuple[str, ...]
    metrics: tuple[str, ...]
    label_names: tuple[str, ...]
    validation: str = "validation"
    more: Mapping[str, str] = field(default_factory=dict)


_SENTENCES = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")
_PARAPHRASE = ("not_equivalent", "equivalent")

GLUE = {
    "cola": GlueTask(("sentence",), ("mcc",), ("unacceptable", "acceptable")),
    "sst2": GlueTask(("sentence",), ("accuracy",), ("negative", "positive")),
    "mrpc": GlueTask(_SENTENCES, ("f1", "accuracy"), _PARAPHRASE),
    "qqp": GlueTask(("question1", "question2"), ("f1", "accuracy"), ("not_duplicate", "duplicate")),
    "stsb": GlueTask(_SENTENCES, ("pearson", "spearman"), ()),
    "mnli": GlueTask(
        ("premise", "hypothesis"),
        ("accuracy",),
        ("entailment", "neutral", "contradiction"),
        "validation_matched",
        {"mismatched": "validation_mismatched"},
    ),
    "qnli": GlueTask(("question", "sentence"), ("accuracy",), _ENTAILMENT),
    "rte": GlueTask(_SENTENCES, ("accuracy",), _ENTAILMENT),
}
_WNLI = (
    "its validation rows repeat sentences of train with the opposite label, so that whatever"
    " learns from train falls below always giving the same answer (GLUE's FAQ, 12)"
)


def glue_task(dataset: str) -> tuple[str, GlueTask] | None:
    """Return (configuration, task) for "glue/sst2" or "nyu-mll/glue/sst2", None for other names.

    Raises:
        DataError: GLUE has no such task, or none that a student could be told by
    """
    family, _, name = dataset.rpartition("/")
    if family not in ("glue", "nyu-mll/glue"):
        return None
    if name not in GLUE:
        why = _WNLI if name == "wnli" else f"no such task of GLUE{did_you_mean(name, list(GLUE))}"
        raise DataError(f"task.dataset: {dataset}: {why}; there are {', '.join(GLUE)}")
    return name, GLUE[name]
