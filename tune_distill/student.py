"""A student's architecture: its Hugging Face config, what forbids it, its parameters.

    parameters = embeddings (V + P + S) H + 2 H
               + L blocks of 4 (H² + H) + 2 H I + I + H + 4 H
               + pooler H² + H + head C H + C

for V pieces, P positions, S segments, width H, L blocks of inner width I, C classes. Everything
but `build` is arithmetic: an infeasible draw costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from tune_distill.methods import Method, ModelShape, TaskShape
from tune_distill.spec import StudentSpec

if TYPE_CHECKING:
    from transformers import PreTrainedConfig
    from transformers.models.bert.configuration_bert import BertConfig
    from transformers.models.bert.modeling_bert import BertForSequenceClassification

FAMILIES = ("bert",)  # whose weights a BERT student can start from


def config(
    student: StudentSpec, teacher: PreTrainedConfig, label_names: Sequence[str]
) -> BertConfig:
    """The Hugging Face config of a student; what reads the tokens is as the teacher has it.

    Args:
        student: its knobs.
        teacher: the config of the model that it learns from, and whose tokens it reads.
        label_names: of the task, by class; empty for a regression.
    """
    from transformers.models.bert.configuration_bert import BertConfig

    return BertConfig(
        vocab_size=teacher.vocab_size,
        hidden_size=student.hidden_size,
        num_hidden_layers=student.layers,
        num_attention_heads=student.heads,
        intermediate_size=student.intermediate(_ratio(teacher)),
        hidden_act=getattr(teacher, "hidden_act", "gelu"),
        hidden_dropout_prob=student.dropout,
        attention_probs_dropout_prob=student.dropout,
        max_position_embeddings=teacher.max_position_embeddings,
        type_vocab_size=getattr(teacher, "type_vocab_size", 0) or 2,  # DistilBERT has none
        layer_norm_eps=getattr(teacher, "layer_norm_eps", 1e-12),
        pad_token_id=teacher.pad_token_id,
        **_labels(_named(label_names, teacher)),
    )


def shape(config: PreTrainedConfig) -> ModelShape:
    """What a method may ask of a model's architecture."""
    return ModelShape(
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        heads=config.num_attention_heads,
    )


def infeasible(
    student: StudentSpec, teacher: PreTrainedConfig, method: Method, task: TaskShape
) -> list[str]:
    """The reasons why a student can't be trained here; empty if it can. Builds nothing."""
    reasons = []
    if student.hidden_size % student.heads:
        reasons.append(
            f"{student.heads} heads don't divide the student's hidden size {student.hidden_size}"
        )
    if student.init != "random":
        reasons += unfit(student, teacher)
    drawn = ModelShape(student.layers, student.hidden_size, student.heads)
    return reasons + method.check(shape(teacher), drawn, task)


def unfit(student: StudentSpec, teacher: PreTrainedConfig) -> list[str]:
    """The reasons why a student can't start from its teacher's weights; empty if it can."""
    if teacher.model_type not in FAMILIES:
        return [
            f"a BERT student can't start from the layers of a {teacher.model_type} teacher; "
            f"student.init: random works, or a teacher of the family {', '.join(FAMILIES)}"
        ]
    sizes = (
        ("layers", student.layers, teacher.num_hidden_layers),
        ("hidden size", student.hidden_size, teacher.hidden_size),
        ("intermediate size", student.intermediate(_ratio(teacher)), teacher.intermediate_size),
    )
    return [
        f"the student's {what} {asked} exceeds the teacher's {given}, so it can't start from it; "
        f"at most {given} works, or student.init: random"
        for what, asked, given in sizes
        if asked > given
    ]


def parameters(config: PreTrainedConfig) -> int:
    """The number of parameters of a BERT classifier, by arithmetic."""
    hidden, inner, classes = config.hidden_size, config.intermediate_size, config.num_labels
    rows = config.vocab_size + config.max_position_embeddings + config.type_vocab_size
    attention = 4 * (hidden * hidden + hidden)
    feed_forward = 2 * hidden * inner + inner + hidden
    norm = 2 * hidden
    block = attention + feed_forward + 2 * norm
    head = hidden * hidden + hidden + classes * (hidden + 1)
    return int(rows * hidden + norm + config.num_hidden_layers * block + head)


def build(config: BertConfig, seed: int) -> BertForSequenceClassification:
    """A random student: float32, on the CPU, the same for the same seed whatever was drawn before.

    Leaves every global generator as it was; `torch.manual_seed` would reseed the GPUs' too.
    """
    from transformers.models.bert.modeling_bert import BertForSequenceClassification

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        model = BertForSequenceClassification(config)
    model.train(mode=False)
    return model


def _named(names: Sequence[str], teacher: PreTrainedConfig) -> Sequence[str]:
    """The task's class names; where it has only numbers, and the teacher names, the teacher's."""
    own = tuple((teacher.id2label or {}).values())
    numbered = [f"LABEL_{number}" for number in range(len(names))]
    return own if list(names) == numbered and len(own) == len(names) else names


def _labels(names: Sequence[str]) -> dict[str, Any]:
    numbered = dict(enumerate(names)) or {0: "score"}
    return {
        "id2label": numbered,
        "label2id": {name: number for number, name in numbered.items()},
        "problem_type": "single_label_classification" if names else "regression",
    }


def _ratio(teacher: PreTrainedConfig) -> float:
    """The width of a teacher's feed-forward blocks over its hidden size; BERT's 4 if unsaid."""
    inner = getattr(teacher, "intermediate_size", None) or getattr(teacher, "hidden_dim", None)
    return float(inner) / teacher.hidden_size if inner else 4.0
