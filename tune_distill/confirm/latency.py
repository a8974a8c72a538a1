"""How long each confirmed model takes for a text, once nothing else of the confirmation runs.

A latency is of a model's shape and form, not of its seed: one student of each candidate is timed,
in all its forms and in turn with all others, by the process that gathers the results. What was
timed is kept in latency.json; it is taken again for further models or on another machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tune_distill import teacher
from tune_distill.confirm.model import called
from tune_distill.files import write_atomically
from tune_distill.forms import Wanted, computations, convert
from tune_distill.forms.convert import REFERENCE
from tune_distill.measure.latency import latencies, machine
from tune_distill.tasks import Encoded

FILE = "latency.json"
Timings = Mapping[str, Any]  # machine; models: by name, a `Latency` as a dict


@dataclass(frozen=True, eq=False)
class Timed:
    """A model whose latency is wanted.

    Attributes:
        folder: of its Hugging Face files.
        rows: in its tokens; the texts are a sample of them.
        wanted: its further forms.
    """

    folder: Path
    rows: Encoded
    wanted: Wanted = Wanted()  # noqa: RUF009 - frozen


def timings(file: Path, models: Mapping[str, Timed], say: Callable[[str], None]) -> Timings:
    """The latencies of models, by name: those that a file keeps, or new ones.

    Args:
        file: what is kept; written anew where a model is missing, or the machine is another.
        models: by name.
        say: hears that they are taken.
    """
    wanted = {called(n, form) for n, one in models.items() for form in _forms(one)}
    kept = _kept(file)
    if kept is not None and wanted <= kept["models"].keys():
        return kept
    say(f"timing {len(wanted)} models, a text at a time")
    with TemporaryDirectory() as scratch:
        ready: dict[str, list[Callable[[], object]]] = {}
        for name, one in models.items():
            model = teacher.load(one.folder)
            ready[name] = computations(model, one.rows)
            if one.wanted.names:
                made = convert(
                    model,
                    one.folder / REFERENCE,
                    Path(scratch) / str(len(ready)),
                    int8=one.wanted.int8,
                )
                for form in one.wanted.names:
                    ready[called(name, form)] = computations(made[form].served, one.rows)
        found = latencies(ready)
    told = {"machine": machine(), "models": {name: asdict(one) for name, one in found.items()}}
    write_atomically(file, json.dumps(told, indent=1))
    return told


def _forms(one: Timed) -> tuple[str, ...]:
    return ("pytorch", *one.wanted.names)


def _kept(file: Path) -> dict[str, Any] | None:
    """What was timed on this machine before."""
    try:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    same = all(told["machine"][name] == machine()[name] for name in ("processor", "cores"))
    return told if same else None
