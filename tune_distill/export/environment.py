"""environment.txt: the versions and the machine that an export was made with.

What pip reads, under a few lines of comment: `pip install -r environment.txt`.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib import metadata

from tune_distill.measure.latency import machine

PACKAGES = (
    *("tune-distill", "torch", "transformers", "tokenizers", "safetensors", "datasets", "numpy"),
    *("huggingface-hub", "ray", "optuna", "mlflow", "onnx", "onnxruntime"),
)


def environment(trained: Mapping[str, str]) -> str:
    """The text of environment.txt.

    Args:
        trained: the versions that the student was trained with.
    """
    place = machine()
    lines = [
        f"# Python {platform.python_version()} on {place['system']}, {place['processor']}, "
        f"{place['cores']} cores",
        "# exported with what follows; trained with "
        + (", ".join(f"{name} {version}" for name, version in trained.items()) or "the same"),
        *(f"{name}=={version}" for name, version in _installed()),
    ]
    return "\n".join(lines) + "\n"


def _installed() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:  # of an extra that isn't there
            continue
