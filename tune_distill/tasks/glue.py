"""The tasks of GLUE by name: text columns, metric, validation split and label names.

Wang et al. 2019, GLUE (1804.07461). Where GLUE reports two figures a task (MRPC and QQP: F1 and
accuracy, STS-B: Pearson and Spearman), the first one is its metric here; `task.metric` asks for the
other. WNLI's names stand in the opposite order of RTE's: so they do on the hub.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GlueTask:
    """What the GLUE paper fixes about one task; `label_names` is empty for a regression."""

    text: tuple[str, ...]
    metric: str
    label_names: tuple[str, ...]
    validation: str = "validation"


_SENTENCES = ("sentence1", "sentence2")
_ENTAILMENT = ("entailment", "not_entailment")
_PARAPHRASE = ("not_equivalent", "equivalent")

GLUE = {
    "cola": GlueTask(("sentence",), "mcc", ("unacceptable", "acceptable")),
    "sst2": GlueTask(("sentence",), "accuracy", ("negative", "positive")),
    "mrpc": GlueTask(_SENTENCES, "f1", _PARAPHRASE),
    "qqp": GlueTask(("question1", "question2"), "f1", ("not_duplicate", "duplicate")),
    "stsb": GlueTask(_SENTENCES, "pearson", ()),
    "mnli": GlueTask(
        ("premise", "hypothesis"),
        "accuracy",
        ("entailment", "neutral", "contradiction"),
        "validation_matched",
    ),
    "qnli": GlueTask(("question", "sentence"), "accuracy", _ENTAILMENT),
    "rte": GlueTask(_SENTENCES, "accuracy", _ENTAILMENT),
    "wnli": GlueTask(_SENTENCES, "accuracy", ("not_entailment", "entailment")),
}


def glue_task(dataset: str) -> tuple[str, GlueTask] | None:
    """Return (configuration, task) for "glue/sst2" or "nyu-mll/glue/sst2", None for other names."""
    family, _, name = dataset.rpartition("/")
    if family not in ("glue", "nyu-mll/glue") or name not in GLUE:
        return None
    return name, GLUE[name]
