"""The general phase of one student: taught, or found taught already."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file, save_file

from tune_distill import signals, student
from tune_distill.cache import LiveTeacher
from tune_distill.general.corpus import Corpus, open_text
from tune_distill.general.words import Masked
from tune_distill.methods import Method, ModelShape, TaskShape
from tune_distill.spec import GeneralSpec
from tune_distill.teacher.loading import digest, load_masked
from tune_distill.teacher.store import alone
from tune_distill.train import heads_of, train

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def refusals(
    method: Method, masked_lm: PreTrainedConfig, drawn: ModelShape, *, whole_vocabulary: bool
) -> list[str]:
    """The reasons why a student can't have the phase; empty if it can.

    Args:
        method: of the phase.
        masked_lm: the architecture of the masked language model.
        drawn: the student's shape.
        whole_vocabulary: whether the student reads the teacher's tokens, all of them.
    """
    shape = student.shape(masked_lm)
    reasons = method.check(shape, drawn, TaskShape(masked_lm.vocab_size))
    if not reasons:
        reasons = signals.lacking(masked_lm, method.needs(shape, drawn)[0])
    if not whole_vocabulary:
        reasons = [
            *reasons,
            "the student would have to say which of the teacher's tokens were hidden, and reads "
            "others; student.vocab: full and no checkpoint work",
        ]
    return [f"general phase: {reason}" for reason in reasons]


def teach(
    model: PreTrainedModel,
    corpus: Corpus,
    spec: GeneralSpec,
    *,
    basis: torch.Tensor | None,
    device: str,
    checkpoint: Path,
) -> None:
    """Teaches a student the language, in place; one that equals it was taught once for both.

    Args:
        model: a sequence classifier, as initialised; its head stays as it is.
        corpus: of `prepare`.
        spec: the study's general section.
        basis: what the student's states are of the teacher's, as of `initialise`.
        device: where to train.
        checkpoint: a folder, from which an interrupted phase continues.

    Raises:
        Diverged: the loss is not finite.
    """
    body = cast("PreTrainedModel", model.base_model)
    identity = [digest(body), corpus.text.name, corpus.masked_lm.name, spec.model_dump_json()]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    file = corpus.students / f"{key}.safetensors"
    with alone(file, lambda _line: None):
        if not file.is_file():
            taught = _taught(model, corpus, spec, basis, device, checkpoint)
            partial = file.with_suffix(f".{os.getpid()}.part")
            save_file(taught, partial)
            partial.rename(file)
    body.load_state_dict(load_file(file), strict=False)


def _taught(
    model: PreTrainedModel,
    corpus: Corpus,
    spec: GeneralSpec,
    basis: torch.Tensor | None,
    device: str,
    checkpoint: Path,
) -> dict[str, torch.Tensor]:
    """The weights of the body after the phase."""
    teacher = Masked(_teacher(corpus.masked_lm))
    pupil, method = Masked(_with_head(model, spec.train.seed or 0)), spec.taught
    shapes = student.shape(teacher.config), student.shape(model.config)
    seed = spec.train.seed or 0
    for _ in train(
        cast("Any", pupil),
        method,
        open_text(corpus),
        spec.train,
        seed=seed,
        teacher=LiveTeacher(cast("Any", teacher), device) if method.needs_teacher else None,
        teacher_shape=shapes[0],
        heads=heads_of(method, shapes, seed, basis),
        device=device,
        checkpoint=checkpoint,
    ):
        pass
    weights = pupil.base_model.state_dict()
    return {name: tensor.cpu().contiguous().clone() for name, tensor in weights.items()}


def _with_head(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """A masked language model with a student's body, and a new head."""
    from transformers import AutoModelForMaskedLM

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        made: PreTrainedModel = AutoModelForMaskedLM.from_config(  # type: ignore[no-untyped-call]
            model.config
        )
    unknown = made.base_model.load_state_dict(model.base_model.state_dict(), strict=False)
    if unknown.missing_keys:
        raise ValueError(f"the masked model has more than the student: {unknown.missing_keys}")
    return made


@lru_cache(maxsize=1)
def _teacher(folder: Path) -> PreTrainedModel:
    return load_masked(folder)
