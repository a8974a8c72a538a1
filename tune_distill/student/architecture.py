"""A student's Hugging Face config: the drawn shape, and the rest as its teacher has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tune_distill import families
from tune_distill.methods import Kind, ModelShape
from tune_distill.spec import StudentSpec
from tune_distill.tasks import head

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

EMBEDDING_SIZE = 128  # E of an ALBERT whose study says nothing: the paper's


def config(
    student: StudentSpec,
    teacher: PreTrainedConfig,
    label_names: Sequence[str],
    kind: Kind = "single_label",
) -> PreTrainedConfig:
    """The Hugging Face config of a student; what reads the tokens is as the teacher has it.

    Args:
        student: its knobs.
        teacher: the config of the model that it learns from, and whose tokens it reads.
        label_names: of the task, by class; empty for a regression.
        kind: of the task.
    """
    from transformers.models.auto.configuration_auto import AutoConfig

    own = _distilbert if student.family == "distilbert" else _bert
    made: PreTrainedConfig = AutoConfig.for_model(
        student.family,
        vocab_size=teacher.vocab_size,
        pad_token_id=teacher.pad_token_id,
        bos_token_id=teacher.bos_token_id,
        eos_token_id=teacher.eos_token_id,
        **own(student, teacher),
        **head(_named(label_names, teacher), kind),
    )
    return made


def shape(config: PreTrainedConfig) -> ModelShape:
    """What a method may ask of a model's architecture."""
    return ModelShape(
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        heads=config.num_attention_heads,
    )


def intermediate(student: StudentSpec, teacher: PreTrainedConfig) -> int:
    """The width of a student's feed-forward blocks: by default as its teacher's, for its width."""
    inner = families.inner(teacher)
    return student.intermediate(inner / teacher.hidden_size if inner else 4.0)  # BERT's


def embedding_size(student: StudentSpec, teacher: PreTrainedConfig) -> int:
    """The width of an ALBERT's embeddings: by default its paper's, or what is smaller."""
    theirs = families.embedding_size(teacher)
    return student.embedding_size or min(EMBEDDING_SIZE, student.hidden_size, theirs)


def _bert(student: StudentSpec, teacher: PreTrainedConfig) -> dict[str, Any]:
    """BERT's names, which RoBERTa and ALBERT share."""
    values: dict[str, Any] = {
        "hidden_size": student.hidden_size,
        "num_hidden_layers": student.layers,
        "num_attention_heads": student.heads,
        "intermediate_size": intermediate(student, teacher),
        "hidden_act": families.activation(teacher),
        "hidden_dropout_prob": student.dropout,
        "attention_probs_dropout_prob": student.dropout,
        "max_position_embeddings": families.positions(teacher),
        "type_vocab_size": families.segments(teacher),
        "layer_norm_eps": getattr(teacher, "layer_norm_eps", 1e-12),
    }
    if student.family == "roberta":
        # Its positions are counted from the padding's number on, and it knows no segments.
        values["max_position_embeddings"] += teacher.pad_token_id + 1
        values["type_vocab_size"] = 1
    if student.family == "albert":
        values["embedding_size"] = embedding_size(student, teacher)
        values["num_hidden_groups"] = student.groups
        values["classifier_dropout_prob"] = student.dropout
    return values


def _distilbert(student: StudentSpec, teacher: PreTrainedConfig) -> dict[str, Any]:
    return {
        "dim": student.hidden_size,
        "n_layers": student.layers,
        "n_heads": student.heads,
        "hidden_dim": intermediate(student, teacher),
        "activation": families.activation(teacher),
        "dropout": student.dropout,
        "attention_dropout": student.dropout,
        "seq_classif_dropout": student.dropout,
        "max_position_embeddings": families.positions(teacher),
    }


def _named(names: Sequence[str], teacher: PreTrainedConfig) -> Sequence[str]:
    """The task's class names; where it has only numbers, and the teacher names, the teacher's."""
    own = tuple((teacher.id2label or {}).values())
    numbered = [f"LABEL_{number}" for number in range(len(names))]
    return own if list(names) == numbered and len(own) == len(names) else names
