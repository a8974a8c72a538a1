"""From YAML to a study and back: files, shipped studies, overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tune_distill.errors import SpecError
from tune_distill.spec.problems import did_you_mean, problems
from tune_distill.spec.study import StudySpec

Document = dict[str, Any]


def load(path: Path, overrides: Sequence[str] = ()) -> StudySpec:
    """The study in a YAML file, with overrides like `search.trials=8` applied.

    Raises:
        SpecError: every mistake, one a line, each with its YAML path.
    """
    return resolve(read(path, overrides))


def read(path: Path, overrides: Sequence[str] = ()) -> Document:
    """The document of a YAML file, with overrides applied, not yet validated."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: not a text file; a study is YAML in UTF-8") from None
    return override(parse(text, str(path)), overrides)


def parse(text: str, where: str) -> Document:
    """The document in a YAML text; data only, never tags that build objects."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpecError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise SpecError(f"{where}: a study is a mapping (name, task, teacher, ...), got {kind}")
    return document


def resolve(document: Mapping[str, Any]) -> StudySpec:
    """The study that a document describes.

    Raises:
        SpecError: every mistake, one a line, each with its YAML path.
    """
    try:
        return StudySpec.model_validate(document)
    except ValidationError as error:
        raise SpecError(problems(error, StudySpec)) from None


def override(document: Document, overrides: Sequence[str]) -> Document:
    """A copy of the document with each `a.b=value` set; the value is read as YAML."""
    for text in overrides:
        path, equals, value = text.partition("=")
        if not equals or not path:
            raise SpecError(f"--set {text}: an override is path=value, as in search.trials=8")
        document = _with(document, path.split("."), yaml.safe_load(value), path)
    return document


def _with(node: Any, keys: Sequence[str], value: Any, path: str) -> Any:  # noqa: ANN401 - YAML
    if not keys:
        return value
    if not isinstance(node, dict | None):
        raise SpecError(f"--set {path}: {node!r} stands there, which has no key {keys[0]!r}")
    node = node or {}
    return {**node, keys[0]: _with(node.get(keys[0]), keys[1:], value, path)}


def dump(document: Mapping[str, Any]) -> str:
    """The document as YAML, keys in their order."""
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=100)


def shipped() -> dict[str, Path]:
    """The studies that come with the package, by name."""
    packaged = Path(str(resources.files("tune_distill"))) / "search_spaces"
    checkout = Path(str(resources.files("tune_distill"))).parent / "search_spaces"
    folder = packaged if packaged.is_dir() else checkout
    return {
        p.relative_to(folder).with_suffix("").as_posix(): p for p in sorted(folder.rglob("*.yaml"))
    }


def find(name: str) -> Path:
    """The file of a study that is named by path or by its shipped name.

    Raises:
        SpecError: neither is there.
    """
    path = Path(name)
    if path.is_file():
        return path
    known = shipped()
    if name in known:
        return known[name]
    raise SpecError(
        f"{name}: no such file, and no shipped study of that name; "
        f"shipped are {', '.join(known)}{did_you_mean(name, list(known))}"
    )
