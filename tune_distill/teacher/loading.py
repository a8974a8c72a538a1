"""Loading a teacher: safetensors only, float32, frozen, in eval mode; anything less is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from tune_distill.errors import TeacherError
from tune_distill.teacher.last_token import read_last_real_token

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# What a broken folder makes Transformers raise.
_LOADING = (OSError, ValueError, RuntimeError, KeyError, TypeError, ImportError, SafetensorError)
# Differs between two saves of one model, and changes nothing that it computes.
_VOLATILE = ("_name_or_path", "architectures", "dtype", "transformers_version")


def load(folder: Path, where: str = "") -> PreTrainedModel:
    """The teacher in a local folder, float32, frozen and in eval mode.

    Args:
        folder: config.json and safetensors.
        where: what the user calls it, for messages; the folder if empty.

    Raises:
        TeacherError: it can't be loaded, or lacks weights (of its head, above all).
    """
    where = where or str(folder)
    model, missing = _load(folder, where)
    if missing:
        head = not any(name.startswith(f"{model.base_model_prefix}.") for name in missing)
        raise TeacherError(
            f"{where}: no weights for {', '.join(missing[:4])}{', ...' * (len(missing) > 4)}: "
            + ("an un-fine-tuned head" if head else "another architecture's, or incomplete")
            + "; a teacher has to be fine-tuned on the task, as `teacher: {fit: {base: ...}}` does"
        )
    model.requires_grad_(False)
    model.train(mode=False)
    return model


def load_base(folder: Path, where: str, **config: Any) -> PreTrainedModel:  # noqa: ANN401
    """A pre-trained model to fine-tune; a head that it lacks is new, and random.

    Args:
        folder: config.json and safetensors.
        where: what the user calls it, for messages.
        config: values of its configuration to set: num_labels, id2label, ...
    """
    model, missing = _load(folder, where, ignore_mismatched_sizes=True, **config)
    body = f"{model.base_model_prefix}."
    lost = [n for n in missing if n.startswith(body) and not n.startswith(f"{body}pooler.")]
    if lost:
        raise TeacherError(
            f"{where}: no weights for {', '.join(lost[:4])}{', ...' * (len(lost) > 4)}: "
            "not a pre-trained encoder; give one whose weights are those of its config.json"
        )
    return model


def load_masked(folder: Path, where: str = "") -> PreTrainedModel:
    """A masked language model in a local folder, float32, frozen and in eval mode.

    Raises:
        TeacherError: it can't be loaded, or has no masked-word head.
    """
    where = where or str(folder)
    model, missing = _load(folder, where, "AutoModelForMaskedLM")
    if missing:
        raise TeacherError(
            f"{where}: no weights for {', '.join(missing[:4])}{', ...' * (len(missing) > 4)}: "
            "not a masked language model with its head; give one as it was pre-trained, such as "
            "google-bert/bert-base-uncased"
        )
    model.requires_grad_(False)
    model.train(mode=False)
    return model


def load_tokenizer(folder: Path, where: str = "") -> PreTrainedTokenizerBase:
    """The tokenizer in a local folder.

    Raises:
        TeacherError: it can't be loaded, or is not a fast one.
    """
    from transformers import AutoTokenizer

    where = where or str(folder)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except _LOADING as error:
        raise TeacherError(f"{where}: its tokenizer can't be loaded: {_line(error)}") from error
    if not tokenizer.is_fast:
        raise TeacherError(
            f"{where}: only a slow tokenizer ({type(tokenizer).__name__}); a fast one is needed, "
            "with a tokenizer.json (convert it with transformers' convert_slow_tokenizer)"
        )
    return tokenizer


def load_config(folder: Path, where: str, **values: Any) -> PreTrainedConfig:  # noqa: ANN401
    """The configuration in a local folder, with `values` set."""
    from transformers.models.auto.configuration_auto import AutoConfig

    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, **values
        )
    except _LOADING as error:
        raise TeacherError(f"{where}: its config.json can't be used: {_line(error)}") from error
    return config


def digest(model: PreTrainedModel) -> str:
    """Sha256 over what a model computes with: its class, its config and every tensor."""
    config = model.config.to_diff_dict()
    settings = {name: value for name, value in config.items() if name not in _VOLATILE}
    identity = [type(model).__name__, settings]
    state = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        state.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Transformers without its bars and load reports: what matters in them is an error here."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _load(
    folder: Path,
    where: str,
    kind: str = "AutoModelForSequenceClassification",
    **options: Any,  # noqa: ANN401
) -> tuple[PreTrainedModel, list[str]]:
    """The model, and the names of the weights that the folder lacks."""
    import transformers

    try:
        with quiet():
            model, found = getattr(transformers, kind).from_pretrained(
                folder,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                dtype=torch.float32,
                output_loading_info=True,
                **options,
            )
    except _LOADING as error:
        raise TeacherError(f"{where}: can't be loaded: {_line(error)}") from error
    return read_last_real_token(model), sorted(found["missing_keys"])


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
