"""What does robustness as an objective find that a search without it misses?

    python benchmarks/third_objective.py --set teacher.model=PATH --set task.dataset=glue/sst2

Two searches of one space, of equally many trials and the same seed: for accuracy and size, and for
these and `robust_worst`. Every student of the first is attacked afterwards, on the same rows as the
second's, so that both are seen in all three objectives. A member of the second's front is missed by
the first if nothing on the first's front is as good as it in all three; or, more strictly, if no
trial of the first is.

Both searches go on where they were, in `--storage`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tune_distill import pareto, prepare, reading, teacher
from tune_distill.folder import StudyFolder
from tune_distill.front import Front
from tune_distill.measure import measure
from tune_distill.outcome import Outcome, losses, reference_losses
from tune_distill.record import TrialRecord
from tune_distill.robustness import resources as attack_resources
from tune_distill.spec import StudySpec, TrialConfig, resolve
from tune_distill.spec.load import override
from tune_distill.tasks import open_prepared

DOCUMENT: dict[str, Any] = {
    "name": "with",
    "task": {"max_train_rows": 8000, "max_length": 64},
    "space": {
        "student": {"layers": {"int": [1, 3]}, "hidden_size": [64, 128, 192], "heads": 4},
        "method": {"kd": {"temperature": 2.0, "alpha": {"uniform": [0.3, 1.0]}}},
        "robust": {
            "none": {},
            "random_char": {"rate": [0.15, 0.3], "stage": ["during", "after"]},
            "fgm": {"epsilon": {"log": [0.05, 0.5]}},
        },
        "train": {"learning_rate": {"log": [2.0e-4, 1.0e-3]}, "epochs": 2, "budget": "compute"},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.5},
        "size_mb": {"goal": "min", "reference": 60.0},
        "robust_worst": {"goal": "max", "reference": 0.0},
    },
    # Who says the same whatever it reads cannot be flipped: without a bound it is on the front.
    "constraints": ["accuracy >= 0.75"],
    "robustness": {"attacks": ["char"], "rows": 400, "budget": 30},
    "search": {"trials": 24, "seed": 1},
}


def searched(document: Mapping[str, Any], storage: Path) -> list[TrialRecord]:
    """Runs a search as a user does, and returns its complete trials."""
    storage.mkdir(parents=True, exist_ok=True)
    file = storage / f"{document['name']}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    command = [sys.executable, "-m", "tune_distill", "search", str(file), "--storage", str(storage)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [r for r in StudyFolder(storage / document["name"]).records() if r.outcome]


def attacked(
    records: Sequence[TrialRecord], folder: StudyFolder, spec: StudySpec
) -> dict[int, Outcome]:
    """The outcomes of trials that were not attacked, with what the study's attacks leave."""
    inputs = prepare.prepare(spec, folder.cache, _say)
    resources = attack_resources.prepare(spec, folder.cache, _say)
    found = {}
    for record in records:
        student = folder.student(record.number)
        own = reading.find(inputs.readings, TrialConfig.from_params(record.params).student)
        found[record.number] = measure(
            teacher.load(student),
            teacher.load_tokenizer(student),
            open_prepared(own.task),
            spec,
            split="search",
            resources=resources,
        )
    return found


def as_good(table: NDArray[np.float64], losses_: NDArray[np.float64]) -> bool:
    """Whether a row of the table is no worse in any column."""
    return bool(np.any(np.all(table <= losses_, axis=1)))


def main() -> None:
    """Runs both searches and prints both fronts, in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/third-objective"))
    arguments = parser.parse_args()
    with_ = override(DOCUMENT, arguments.set)
    spec = resolve(with_)
    two = {name: axis for name, axis in with_["objectives"].items() if name != "robust_worst"}
    without = {**with_, "name": "without", "objectives": two}
    del without["constraints"]  # nothing rewards the useless there
    plain = searched(without, arguments.storage)
    robust = searched(with_, arguments.storage)
    outcomes = attacked(plain, StudyFolder(arguments.storage / "without"), spec)
    front = Front(plain, resolve(without).axes).members
    best = Front(robust, spec.axes, spec.bounds)
    allowed = [o for o in outcomes.values() if all(bound.allows(o) for bound in spec.bounds)]
    every = losses(allowed, spec.axes)
    table = losses([outcomes[number] for number in front], spec.axes)
    print(f"{len(plain)} and {len(robust)} complete trials.")
    print("\n| search | student | robust | accuracy | MB | robust_worst | missed without |")
    print("|---|---|---|---|---|---|---|")
    for record in plain:
        if record.number in front:
            _row("two objectives", record, outcomes[record.number], "")
    for record, row in zip(best.allowed, best.losses, strict=True):
        if record.number in best.members and record.outcome:
            missed = "" if as_good(table, row) else "by its front"
            missed = missed if as_good(every, row) else "by all of its trials"
            _row("three", record, record.outcome, missed)
    corner = reference_losses(spec.axes)
    for name, some in (("two objectives", every), ("three", best.losses)):
        two_volume = pareto.hypervolume(some[:, :2], corner[:2])
        volume = pareto.hypervolume(some, corner)
        print(f"\n{name}: hypervolume {two_volume:.4g} in accuracy and size, {volume:.4g} in all")


def _row(search: str, record: TrialRecord, outcome: Outcome, missed: str) -> None:
    p = record.params
    shape = f"{p['student.layers']}/{p['student.hidden_size']}"
    print(
        f"| {search} | {shape} | {p['robust']} | {100 * outcome.accuracy:.1f} | "
        f"{outcome.size_mb:.1f} | {100 * (outcome.robust_worst or 0.0):.1f} | {missed} |"
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
