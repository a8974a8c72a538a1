"""From a hub id or a path to a local folder that has a config, safetensors and a tokenizer.

A hub id may name a revision, `owner/name@revision`: a branch, a tag, a commit or `refs/pr/1`.
"""

from __future__ import annotations

from pathlib import Path

from tune_distill.errors import TeacherError

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")
_NEEDED = ["*.json", "*.txt", "*.model", "*.safetensors"]  # of a hub repository

_CONVERT = (
    "weights in pickle files (pytorch_model.bin) are not read, because loading one may run any "
    'code. Convert them once, if you trust their author: python -c "from transformers import '
    "AutoModelForSequenceClassification as M, AutoTokenizer as T; n = '{name}'; "
    "M.from_pretrained(n, use_safetensors=False).save_pretrained('converted'); "
    "T.from_pretrained(n).save_pretrained('converted')\""
)


def locate(name: str, key: str) -> Path:
    """The local folder of a model, downloaded if it is the hub's.

    Args:
        name: a folder, or a hub id with or without @revision.
        key: the place in the study that names it.

    Raises:
        TeacherError: there is none, or it lacks a file.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or name.startswith(("/", ".", "~")) or name.count("/") > 1 + _refs(name):
            raise TeacherError(
                f"{key}: {name} is no folder; give the folder of a Hugging Face model (relative "
                f"paths start at {Path.cwd()}) or a hub id such as owner/name"
            )
        folder = _download(name, key)
    _refuse_incomplete(folder, name, key)
    return folder


def _refs(name: str) -> int:
    """The slashes of a hub id's revision."""
    return name.partition("@")[2].count("/")


def _download(name: str, key: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.partition("@")
    try:
        folder = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=_NEEDED,
            ignore_patterns=["*/*"],
        )
    except HFValidationError as error:
        raise TeacherError(
            f"{key}: {name} is neither a folder here nor a hub id: {error}"
        ) from None
    except RevisionNotFoundError:
        raise TeacherError(f"{key}: {repository} has no revision {revision!r} on the hub") from None
    except RepositoryNotFoundError:
        raise TeacherError(
            f"{key}: no model {repository} on the hub that you may read, and no such folder here "
            f"({Path.cwd() / name}); for a private or gated one, log in with `hf auth login`"
        ) from None
    except OSError as error:
        raise TeacherError(
            f"{key}: {name} is no folder here, and the hub can't be reached for it, nor is it in "
            f"the hub's local cache ({' '.join(str(error).split())}); download it where there is "
            "a network and give its folder"
        ) from error
    return Path(folder)


def _refuse_incomplete(folder: Path, name: str, key: str) -> None:
    files = sorted(file.name for file in folder.iterdir())
    holds = f"the folder holds {', '.join(files) or 'nothing'}"
    if "config.json" not in files:
        raise TeacherError(
            f"{key}: {name} has no config.json, so is no Hugging Face model; {holds}"
        )
    if not any(folder.glob("*.safetensors")):
        raise TeacherError(
            f"{key}: {name} has no safetensors; {holds}. " + _CONVERT.format(name=name)
        )
    # Without its files Transformers makes up a BERT tokenizer of five words, and says nothing.
    if not any(any(folder.glob(pattern)) for pattern in _TOKENIZERS):
        raise TeacherError(
            f"{key}: {name} has no tokenizer (one of {', '.join(_TOKENIZERS)}); {holds}. Save the "
            "one that it was trained with beside it: tokenizer.save_pretrained(folder)"
        )
