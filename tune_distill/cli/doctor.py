"""`tune-distill doctor`: what this machine has, and what would stand in a search's way."""

from __future__ import annotations

import json
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tune_distill.cli.options import STORAGE, Json, Storage

if TYPE_CHECKING:
    from tune_distill.storage import Storage as Place

PACKAGES = ("torch", "transformers", "datasets", "ray", "optuna", "mlflow", "moocore", "plotly")


def doctor(storage: Storage = STORAGE, as_json: Json = False) -> None:
    """Show versions, processors, memory and storage, and what would stand in a search's way."""
    from tune_distill.storage import at

    place = at(storage)
    facts, warnings = _facts(place), _warnings(place)
    if as_json:
        typer.echo(json.dumps({"facts": facts, "warnings": warnings}, indent=2))
    else:
        for name, value in facts.items():
            typer.echo(f"{name:<14} {value}")
        for warning in warnings:
            typer.echo(f"warning        {warning}")
        if not warnings:
            typer.echo("ready          nothing stands in the way")


def _facts(place: Place) -> dict[str, str]:
    import torch

    folder, free = place.folder.resolve(), shutil.disk_usage(_existing(place.folder)).free / 1e9
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in PACKAGES},
        "cpus": str(_cpus()),
        "memory": f"{memory:.0f} GB",
        "gpus": ", ".join(gpus) or "none",
        "storage": f"{place.mirror.url}, copied to {folder}" if place.mirror else str(folder),
        "free": f"{free:.0f} GB",
        "hub": "offline (HF_HUB_OFFLINE)" if os.environ.get("HF_HUB_OFFLINE") == "1" else "online",
    }


def _warnings(place: Place) -> list[str]:
    import torch

    found = []
    if not os.access(_existing(place.folder), os.W_OK):
        found.append(
            f"{place.folder.resolve()} can't be written; choose another folder with --storage"
        )
    if place.mirror and (why := place.mirror.bucket.unwritable()):
        found.append(why)
    if shutil.disk_usage(_existing(place.folder)).free < 5e9:
        found.append("less than 5 GB of disk are free; a teacher's signals may need more")
    if torch.version.cuda and not torch.cuda.is_available():
        found.append("torch is built for CUDA and sees no GPU: trials run on the CPU")
    return found


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _existing(path: Path) -> Path:
    """The nearest folder above `path` that is there."""
    path = path.resolve()
    return path if path.exists() else _existing(path.parent)
