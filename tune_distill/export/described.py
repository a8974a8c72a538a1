"""What a model card says of a student in words: how it was made, of what, on which task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_distill.space import Params
from tune_distill.spec import TaskSpec, TrialConfig

FAMILIES = {"bert": "BERT", "distilbert": "DistilBERT", "roberta": "RoBERTa", "albert": "ALBERT"}


def how(params: Params) -> str:
    """What was done with the teacher."""
    method = str(params["method"])
    if method != "finetune":
        return f"distilled with `{method}` from"
    if params["student.init"] == "random" or params.get("student.checkpoint"):
        return "trained on labels alone, beside"
    return "started from layers of, and then fine-tuned without,"


def hardened(params: Params) -> str:
    """What the teacher was hardened by; nothing where it was not."""
    robust = TrialConfig.from_params(params).robust
    return f" (hardened by `{robust.in_teacher().shown}`)" if robust and robust.of_teacher else ""


def defended(params: Params) -> str:
    """What the student was hardened by, and when; nothing where it was not."""
    robust = TrialConfig.from_params(params).hardening
    if robust is None:
        return ""
    when = f"the last {robust.share:.0%}" if robust.stage == "after" else "all"
    return f" It was hardened by `{robust.in_teacher().shown}` in {when} of its training."


def reads(params: Params) -> str:
    """What it started from and whose tokens it reads, where that isn't plainly its teacher."""
    checkpoint, vocab = (params.get(f"student.{knob}") for knob in ("checkpoint", "vocab"))
    few = vocab not in (None, "full")
    if not checkpoint and not few:
        return ""
    name = called(str(checkpoint))
    started = checkpoint and params["student.init"] != "random"
    whose = "its" if started else f"`{name}`'s" if checkpoint else "its teacher's"
    tokens = f"the {vocab:,} of {whose} tokens that the training texts need most"
    began = f"started from `{name}` and " if started else ""
    return f" It {began}reads {tokens if few else f'{whose} tokens'}."


def teacher(spec: Mapping[str, Any]) -> str:
    """The teacher of a study's `teacher` section."""
    if spec.get("builtin"):
        return f"the built-in {spec['builtin']} BERT"
    if spec.get("fit"):
        return f"`{called(spec['fit']['base'])}`, fine-tuned on the task"
    return f"`{called(spec['model'])}`"


def base_models(document: Mapping[str, Any], params: Params) -> list[str]:
    """The models of the hub that a student comes from."""
    spec = document["teacher"]
    named = [spec.get("model"), (spec.get("fit") or {}).get("base")]
    named.append(params.get("student.checkpoint"))
    return [str(name) for name in named if name and not local(str(name))]


def task(spec: TaskSpec) -> str:
    """What the task is called."""
    if spec.builtin:
        return f"the built-in corpus of {spec.builtin}"
    return spec.dataset or "local files"


def dataset(spec: TaskSpec) -> tuple[str, str | None] | None:
    """(data set, configuration) of the hub; None where it isn't from there."""
    from tune_distill.tasks.glue import glue_task

    if spec.dataset is None:
        return None
    if glue := glue_task(spec.dataset):
        return "nyu-mll/glue", glue[0]
    owner, _, rest = spec.dataset.partition("/")
    name, _, configuration = rest.partition("/")
    return (f"{owner}/{name}" if name else owner), configuration or None


def inputs(spec: TaskSpec) -> list[str | Mapping[str, str]]:
    """Inputs of a pipeline: a text, or a pair."""
    from tune_distill.tasks.glue import glue_task

    glue = glue_task(spec.dataset) if spec.dataset and not spec.text else None
    if isinstance(spec.text, tuple) or (glue and len(glue[1].text) > 1):
        return [{"text": "The first sentence.", "text_pair": "The second sentence."}]
    return ["A text to classify."]


def called(model: str) -> str:
    """A model's name for others: its id on the hub, or of a path the last part."""
    return Path(model).name if local(model) else model


def local(model: str) -> bool:
    """Whether a model is named by a path."""
    return model.startswith((".", "/", "~")) or Path(model).is_dir()
