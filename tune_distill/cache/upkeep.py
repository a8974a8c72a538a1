"""Making sure, once a search, that the signals are there and whole; computing what is not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.cache.build import build
from tune_distill.cache.files import FORMAT, Writer, damage, read_manifest
from tune_distill.cache.sizes import GB, Layout, Plan, layouts, offsets_layout, plan
from tune_distill.signals import Needs
from tune_distill.tasks import Encoded
from tune_distill.teacher.loading import digest
from tune_distill.teacher.store import Say, alone

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Progress = Callable[[int, int], None]  # rows done, of how many


@dataclass(frozen=True)
class Cached:
    """The signals of one teacher on one split."""

    folder: Path
    plan: Plan
    computed: tuple[str, ...]  # what was not there; empty: a hit


def ensure(
    model: PreTrainedModel,
    encoded: Encoded,
    needs: Needs,
    root: Path,
    *,
    limit_gb: float,
    say: Say,
    device: str = "cpu",
    progress: Progress | None = None,
    exact: bool = False,
) -> Cached:
    """The folder with the teacher's signals, each verified to the last byte or computed now.

    Args:
        model: the teacher; put in eval mode.
        encoded: the split that students are trained on.
        needs: all that the study's methods ask of the teacher.
        root: the folder of all signals.
        limit_gb: 10^9 bytes; what is over stays live.
        say: hears what is computed, how large it is, what was damaged and what stays live.
        device: where to compute.
        progress: hears of rows done.
        exact: logits in float32, for measures; losses take float16.

    Raises:
        TeacherError: the teacher's signals are not finite.
    """
    folder = root / key(model, encoded, exact=exact)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    shapes = layouts(needs, encoded, model.config, exact=exact)
    sizes = {name: layout.bytes for name, layout in shapes.items()}
    shapes["offsets"] = offsets_layout(encoded)
    with alone(folder, say) as surely:
        if surely:
            _sweep(folder)
        there = _whole(folder, shapes, say)
        made = _fitting(needs, sizes, there, folder, limit_gb, say)
        wanted = [shapes[name] for name in made.cached.names() if name not in there]
        _announce(made, shapes, there, encoded, folder, say)
        if made.cached.of_tokens and "offsets" not in there:
            with Writer(folder, shapes["offsets"]) as file:
                file.append(encoded.offsets)
                file.finish()
        if wanted:
            build(model, encoded, wanted, folder, say=say, device=device, progress=progress)
    return Cached(folder, made, tuple(layout.name for layout in wanted))


def key(model: PreTrainedModel, encoded: Encoded, *, exact: bool) -> str:
    """A hash of all that the signals depend on."""
    state = hashlib.sha256(f"signals {FORMAT} {exact} {digest(model)}".encode())
    for part in (encoded.tokens, encoded.types, encoded.offsets):
        if part is None:
            state.update(b"none")
        else:
            state.update(f"{part.dtype.str} {len(part)} ".encode())
            state.update(part.tobytes())
    return state.hexdigest()


def _sweep(folder: Path) -> None:
    """Removes what killed processes left: no other is at work here."""
    kept = set()
    for manifest in folder.glob("*.json"):
        try:
            kept.add((read_manifest(folder, manifest.stem) or {}).get("file"))
        except ValueError:
            continue  # `_whole` says so, if the signal is asked for
    for file in (*folder.glob(".*.part"), *folder.glob("*.bin")):
        if file.name not in kept:
            file.unlink()


def _whole(folder: Path, shapes: dict[str, Layout], say: Say) -> set[str]:
    """The signals that are there; a damaged one is said to be, and removed."""
    found = set()
    for name, layout in shapes.items():
        if not (folder / f"{name}.json").exists():
            continue
        reason = damage(folder, layout)
        if reason:
            say(f"teacher signal {name} in {folder} is damaged ({reason}); computing it again")
            (folder / f"{name}.json").unlink()
        else:
            found.add(name)
    return found


def _fitting(
    needs: Needs,
    sizes: dict[str, int],
    there: set[str],
    folder: Path,
    limit_gb: float,
    say: Say,
) -> Plan:
    """The plan under the limit, or under what the disk still holds if that is less."""
    made = plan(needs, sizes, limit_gb)
    present = sum(sizes.get(name, 0) for name in there)
    free = shutil.disk_usage(folder).free
    if made.total() - present > free:
        say(f"{folder}: only {_size(free)} are free on this disk")
        made = plan(needs, sizes, (free + present) / GB)
    return made


def _announce(
    made: Plan, shapes: dict[str, Layout], there: set[str], encoded: Encoded, folder: Path, say: Say
) -> None:
    rows = f"{len(encoded):,} rows, {int(encoded.offsets[-1]):,} tokens"
    say(f"teacher signals of {rows}: {_size(made.total())} in {folder}")
    for name, layout in shapes.items():
        if name in made.live.names():
            state = "live: over the limit"
        else:
            state = "there" if name in there else "to be computed"
        if name != "offsets":
            say(f"  {name}: {_size(layout.bytes)}, {layout.dtype}, {state}")
    if made.live:
        say("  a method that needs a live signal runs the teacher at each step: slower, not worse")


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= GB else f"{count / 1e6:.2f} MB"
