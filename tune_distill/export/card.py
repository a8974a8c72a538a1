"""The model card: what the student is, how good, against its teacher, and how to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_distill.folder import TrialRecord
from tune_distill.methods import Kind
from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.space import Params
from tune_distill.spec import TaskSpec

_FAMILIES = {"bert": "BERT", "distilbert": "DistilBERT", "roberta": "RoBERTa", "albert": "ALBERT"}
_TEMPLATE = """---
{{ card_data }}
---
# {{ name }}

A {{ layers }}-layer, {{ hidden }}-wide {{ family }} student \
({{ "{:,}".format(parameters) }} parameters, {{ "%.1f"|format(size_mb) }} MB), \
{{ how }} {{ teacher }} on {{ task }}.\
{{ reads }}
Trial {{ number }} of the study `{{ study }}`, found by \
[tune-distill](https://pypi.org/project/tune-distill){{ front }}.

| measure | student | 95 % interval | teacher |
|---|---|---|---|
{% for row in rows -%}
| {{ row | join(" | ") }} |
{% endfor %}
Measured on the search split: rows kept out of training that the search chose this student by, so
the figures are somewhat optimistic.{% if attacked %} `robust_worst` is the share of \
{{ attack_rows }} fixed rows that
are right on the clean text and flipped by none of the attacks {{ attacks }} with \
{{ budget }} queries a row.{% endif %}

## Use

```python
from transformers import pipeline

classify = pipeline("text-classification", "{{ folder }}")
classify({{ example }})
```

## Reproduce

`student.yaml` holds every knob and the seed:

```
tune-distill train student.yaml
```

## Limits

Trained and measured on {{ task }} alone; texts of other kinds or languages were not tried, and
neither fairness nor calibration was measured.
"""


def card(
    record: TrialRecord,
    document: Mapping[str, Any],
    objectives: Sequence[Objective],
    teacher: Mapping[str, float],
    *,
    kind: Kind,
    on_front: bool,
) -> str:
    """The README.md of an exported student, with the hub's metadata in front."""
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    from tune_distill.tasks.source import metrics_of

    outcome = record.outcome
    if outcome is None:
        raise ValueError(f"trial {record.number} has no outcome")
    method, task = str(record.params["method"]), _task(document["task"])
    name = f"{document['name']}-trial-{record.number}"
    metric = metrics_of(TaskSpec.model_validate(document["task"]), kind)[0]
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["tune-distill", "knowledge-distillation", method],
        model_name=name,
        eval_results=[
            EvalResult(
                task_type="text-classification",
                dataset_type=task,
                dataset_name=task,
                dataset_split="search (held out of train)",
                metric_type=metric,
                metric_value=round(outcome.accuracy, 4),
            )
        ],
    )
    robustness = document.get("robustness") or {}
    made = ModelCard.from_template(
        data,
        template_str=_TEMPLATE,
        name=name,
        layers=record.params["student.layers"],
        hidden=record.params["student.hidden_size"],
        family=_FAMILIES[str(record.params.get("student.family", "bert"))],
        parameters=outcome.parameters,
        size_mb=outcome.size_mb,
        how=_how(method, record.params),
        reads=_reads(record.params),
        teacher=_teacher(document["teacher"]),
        task=task,
        number=record.number,
        study=document["name"],
        front=", on its Pareto front" if on_front else "",
        rows=_rows(outcome, objectives, teacher, metric),
        attacked=outcome.robust_worst is not None,
        attacks=", ".join(robustness.get("attacks", ["char"])),
        attack_rows=robustness.get("rows", 400),
        budget=robustness.get("budget", 30) or "any number of",
        folder="path/to/this/folder",
        example=_example(document["task"]) + ", top_k=None" * (kind == "multi_label"),
    )
    return str(made) + "\n"


def _how(method: str, params: Params) -> str:
    if method != "finetune":
        return f"distilled with `{method}` from"
    if params["student.init"] == "random" or params.get("student.checkpoint"):
        return "trained on labels alone, beside"
    return "started from layers of, and then fine-tuned without,"


def _reads(params: Params) -> str:
    """What it started from and whose tokens it reads, where that isn't plainly its teacher."""
    checkpoint, vocab = (params.get(f"student.{knob}") for knob in ("checkpoint", "vocab"))
    few = vocab not in (None, "full")
    if not checkpoint and not few:
        return ""
    started = checkpoint and params["student.init"] != "random"
    whose = "its" if started else f"`{checkpoint}`'s" if checkpoint else "its teacher's"
    tokens = f"the {vocab:,} of {whose} tokens that the training texts need most"
    began = f"started from `{checkpoint}` and " if started else ""
    return f" It {began}reads {tokens if few else f'{whose} tokens'}."


def _rows(
    outcome: Outcome, objectives: Sequence[Objective], teacher: Mapping[str, float], metric: str
) -> list[list[str]]:
    measures = outcome.measures()
    names = [o.name for o in objectives] + [
        n for n in measures if n not in {o.name for o in objectives}
    ]
    return [
        [
            f"{n} ({metric})" if n == "accuracy" != metric else n,
            _shown(n, measures[n]),
            _interval(outcome.intervals.get(n)),
            _shown(n, teacher[n]) if n in teacher else "",
        ]
        for n in names
    ]


def _shown(name: str, value: float) -> str:
    if name == "parameters":
        return f"{value:,.0f}"
    if name == "flops":
        return f"{value:.3g}"
    return f"{value:.2f}" if name.endswith(("_mb", "_ms")) else f"{value:.4f}"


def _interval(interval: Interval | None) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}" if interval else ""


def _task(task: Mapping[str, Any]) -> str:
    if task.get("builtin"):
        return f"the built-in corpus of {task['builtin']}"
    return str(task.get("dataset") or "local files")


def _teacher(teacher: Mapping[str, Any]) -> str:
    if teacher.get("builtin"):
        return f"the built-in {teacher['builtin']} BERT"
    if teacher.get("fit"):
        return f"`{teacher['fit']['base']}`, fine-tuned on the task"
    return f"`{teacher['model']}`"


def _example(task: Mapping[str, Any]) -> str:
    if isinstance(task.get("text"), list):
        return '{"text": "The first sentence.", "text_pair": "The second sentence."}'
    return '"A text to classify."'
