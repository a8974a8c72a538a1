"""One trial without a search: what `tune-distill train` does."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from tune_distill import prepare, trial
from tune_distill.errors import DataError, SpecError
from tune_distill.folder import Rung
from tune_distill.outcome import Outcome
from tune_distill.space import Distribution, Scalar, at_random
from tune_distill.spec import load


def train_single(
    config: Path, to: Path | None, storage: Path, say: Callable[[str], None]
) -> tuple[Outcome, Path]:
    """Trains the student of a config in which every knob is a value.

    Args:
        config: the student.yaml of an exported student.
        to: the folder to write; by default the study's name under `students`.
        storage: whose cache is used.
        say: hears of progress, a line at a time.

    Returns:
        (its outcome, the folder that was written)

    Raises:
        SpecError: the config still has something to search.
        DataError: the folder exists.
    """
    spec = load(config)
    params = spec.search_space.draw(_refuse)
    target = to or Path("students") / spec.name
    if target.exists():
        raise DataError(f"{target}: exists already; choose another folder with --to")
    inputs = prepare.prepare(spec, storage / "cache", say)
    if reasons := prepare.infeasible(spec, inputs, params):
        raise SpecError([f"{config}: {reason}" for reason in reasons])
    target.parent.mkdir(parents=True, exist_ok=True)

    def report(rung: Rung) -> None:
        say(f"epoch {rung.epoch}: accuracy {rung.accuracy:.4f}, {rung.seconds:.0f} s")

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        outcome = trial.run(
            spec,
            params,
            inputs,
            Path(folder),
            report,
            threads=spec.resources.threads,
            device=spec.resources.device,
        )
        (Path(folder) / "student").rename(target)
    return outcome, target


def _refuse(name: str, distribution: Distribution) -> Scalar:
    value = at_random(random.Random(0))(name, distribution)
    raise SpecError(
        f"space.{name.partition('|')[0]}: still a range or a choice; a single student needs one "
        f"value, such as {value}"
    )
