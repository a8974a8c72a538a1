"""One trial without a search: what `tune-distill train` does."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

from tune_distill import draws, prepare, trial
from tune_distill.errors import DataError, SpecError
from tune_distill.launch.preparing import Kept
from tune_distill.outcome import Outcome
from tune_distill.record import Rung
from tune_distill.space import Distribution, Scalar, at_random
from tune_distill.spec import load
from tune_distill.storage import at


def train_single(
    config: Path, to: Path | None, storage: str, say: Callable[[str], None]
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
    folder = at(storage).study(spec.name)
    inputs = Kept(prepare.prepare, folder)(spec, folder.cache, say).opened()
    if reasons := draws.infeasible(spec, inputs, params):
        raise SpecError([f"{config}: {reason}" for reason in reasons])
    target.parent.mkdir(parents=True, exist_ok=True)

    def report(rung: Rung) -> None:
        say(f"epoch {rung.epoch}: accuracy {rung.accuracy:.4f}, {rung.seconds:.0f} s")

    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as work:
        outcome = trial.run(
            spec,
            params,
            inputs,
            Path(work),
            report,
            threads=spec.resources.threads,
            device=spec.resources.device,
        )
        (Path(work) / "student").rename(target)
    return outcome, target


def compared(outcome: Outcome, claimed: Path) -> str:
    """Whether an outcome is the one in the metrics.json of the student that was to be reproduced.

    Args:
        outcome: of the training just done.
        claimed: the file; it need not be there.
    """
    try:
        told = json.loads(claimed.read_text(encoding="utf-8"))["outcome"]
    except FileNotFoundError:
        return f"{claimed} is not there: there is nothing to compare with"
    own, theirs = outcome.measures(), Outcome.from_json(told).measures()
    other = [
        f"{name} {value:.6g} there, {own[name]:.6g} here"
        for name, value in theirs.items()
        if name in own and own[name] != value
    ]
    if not other:
        return f"the same in every measure as {claimed}"
    return f"not as {claimed}: {'; '.join(other)} (another machine, version or number of threads)"


def _refuse(name: str, distribution: Distribution) -> Scalar:
    value = at_random(random.Random(0))(name, distribution)
    raise SpecError(
        f"space.{name.partition('|')[0]}: still a range or a choice; a single student needs one "
        f"value, such as {value}"
    )
