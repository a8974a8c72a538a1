"""Does distillation lose robustness? Teachers and students, plain and hardened, four attacks.

    python benchmarks/robustness.py --set teacher.model=PATH --set task.dataset=glue/sst2
        --set robustness.resources.table=near.parquet --set robustness.resources.wordnet=dict

{teacher plain, hardened} x {student plain, hardened during, hardened after}, and two controls of
the same shape that are not distilled: fine-tuned from the teacher's layers, and from nothing. Three
seeds each, all with the computation of the plain one (`budget: compute`): what a defence costs, it
costs in updates. Everybody meets the same attacks on the same held-out rows, once. Differences
carry intervals and p-values over rows and seeds, adjusted by Holm over each table of them.

What has run is kept in `--storage`, one line a run: the same command goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import multiprocessing
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from tune_distill import reading, teacher, trial
from tune_distill.confirm.claims import Claim, Pair, claims
from tune_distill.confirm.samples import Sample, drawn
from tune_distill.hardening import HARDENINGS
from tune_distill.inputs import Inputs
from tune_distill.measure import measure
from tune_distill.measure.attack_rows import read_rows
from tune_distill.prepare import prepare
from tune_distill.robustness import resources as attack_resources
from tune_distill.robustness.resources import Resources
from tune_distill.spec import StudySpec, TrialConfig, resolve
from tune_distill.spec.load import override
from tune_distill.statistics import mcnemar
from tune_distill.tasks import open_prepared
from tune_distill.taught import reference

STUDENT = {"layers": 2, "hidden_size": 128, "heads": 4}
ATTACKS = ("char", "table", "wordnet", "pruthi")
WORST = "robust_worst"
TEACHER, HARD_TEACHER = "teacher", "teacher, hardened"
PLAIN, HARD = "plain teacher", "hardened teacher"
CONTROL, RANDOM = "fine-tuned, teacher's layers", "fine-tuned, random start"
STAGES = ("plain", "during", "after")

# What is asked, each as (the one, the other): is the one more robust?
QUESTIONS: tuple[tuple[str, str], ...] = (
    (f"{PLAIN}, student plain", TEACHER),  # what distillation loses
    (f"{PLAIN}, student plain", CONTROL),  # and whether it is distillation or size
    (f"{HARD}, student plain", f"{PLAIN}, student plain"),  # what a hardened teacher passes on
    (f"{HARD}, student plain", HARD_TEACHER),
    (f"{PLAIN}, student during", f"{PLAIN}, student plain"),
    (f"{PLAIN}, student after", f"{PLAIN}, student plain"),
    (f"{HARD}, student during", f"{PLAIN}, student during"),
    (CONTROL, RANDOM),
    (HARD_TEACHER, TEACHER),  # whether the defence works at all
)


@dataclasses.dataclass(frozen=True)
class Row:
    """One model: what it is called, how it is trained, by whom."""

    name: str
    params: tuple[tuple[str, Any], ...]  # none: a teacher itself
    hardened: bool  # whether its teacher, or it, is the hardened one

    @property
    def key(self) -> str:
        """A name for its files."""
        told = repr((self.params, self.hardened))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def rows(defence: str, share: float, seeds: int) -> Iterator[Row]:
    """All models, teachers first."""
    yield Row(TEACHER, (), False)
    yield Row(HARD_TEACHER, (), True)
    base: dict[str, Any] = {f"student.{knob}": value for knob, value in STUDENT.items()}
    for seed in range(1, seeds + 1):
        seeded = {**base, "train.seed": seed}
        for name, init in ((CONTROL, "uniform"), (RANDOM, "random")):
            yield _row(name, False, {**seeded, "method": "finetune", "student.init": init})
        for hardened in (False, True):
            for stage in STAGES:
                own = {"robust": "none" if stage == "plain" else defence}
                if stage != "plain":
                    own[f"robust.{defence}.stage"] = stage
                    own |= {f"robust.{defence}.share": share} if stage == "after" else {}
                name = f"{HARD if hardened else PLAIN}, student {stage}"
                yield _row(name, hardened, {**seeded, "method": "kd", **own})


def _row(name: str, hardened: bool, params: Mapping[str, Any]) -> Row:
    return Row(name, tuple(sorted(params.items())), hardened)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What all runs share."""

    document: dict[str, Any]  # of the trainings, which attack nothing
    attacked: dict[str, Any]  # of the measurements
    defaults: dict[str, Any]  # knobs that the study fixes
    inputs: Inputs
    resources: Resources
    storage: Path


def work(setting: Setting, one: Row) -> dict[str, Any]:
    """Trains a model, unless it is a teacher, and attacks it on the held-out rows."""
    inputs, began = setting.inputs, time.process_time()
    if one.hardened:
        (hardened,) = inputs.hardened
        stage = dataclasses.replace(hardened.defence, stage="teacher")  # type: ignore[type-var]
        inputs = inputs.under(stage)
    spec, folder = resolve(setting.attacked), setting.storage / "runs" / one.key
    folder.mkdir(parents=True, exist_ok=True)
    source = inputs.teacher
    own = inputs.readings[0]
    taught = None
    if one.params:
        params = {**setting.defaults, **dict(one.params)}
        own = reading.find(inputs.readings, TrialConfig.from_params(params).student)
        trial.run(resolve(setting.document), params, inputs, folder, lambda rung: None)
        source = folder / "student"
        taught = reference(inputs.teacher, inputs.answers, inputs.task, "cpu")
    kept = setting.storage / "rows" / f"{one.key}.parquet"
    kept.parent.mkdir(exist_ok=True)
    outcome = measure(
        teacher.load(source),
        teacher.load_tokenizer(source),
        open_prepared(own.task),
        spec,
        split="heldout",
        resources=setting.resources,
        rows=kept,
        teacher=taught,
    )
    shutil.rmtree(folder)
    told = {"at_chance": outcome.at_chance, "cpu_seconds": time.process_time() - began}
    return {"key": one.key, "name": one.name, **outcome.measures(), **told}


class Bench:
    """The runs of one setting, remembered."""

    def __init__(self, setting: Setting, workers: int) -> None:
        self.setting, self.file = setting, setting.storage / "results.jsonl"
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(workers, mp_context=context)
        lines = self.file.read_text().splitlines() if self.file.is_file() else []
        self.known = {result["key"]: result for result in map(json.loads, lines)}

    def run(self, asked: Sequence[Row]) -> None:
        """Runs what is not known yet."""
        new = [one for one in asked if one.key not in self.known]
        waiting = [self.pool.submit(work, self.setting, one) for one in new]
        for done in as_completed(waiting):
            result = done.result()
            self.known[result["key"]] = result
            with self.file.open("a") as file:
                file.write(json.dumps(result) + "\n")
            told = f"accuracy {result['accuracy']:.4f} {WORST} {result[WORST]:.4f}"
            print(f"{result['name']}: {told}", file=sys.stderr)

    def right(self, one: Row) -> dict[str, np.ndarray]:
        """Which attacked rows a model keeps, by attack, and under all of them: (rows,)."""
        found = read_rows(self.setting.storage / "rows" / f"{one.key}.parquet")
        by_attack = {identity.partition("-")[0]: kept for identity, kept in found.items()}
        return {**by_attack, WORST: np.logical_and.reduce(list(found.values()))}


def summary(bench: Bench, asked: Sequence[Row]) -> None:
    """The table of all models: means and standard deviations over seeds, in %."""
    columns = {"accuracy": "accuracy", **{f"robust_{name}": name for name in ATTACKS}}
    columns |= {WORST: "worst of all", "robust_kept": "worst / clean", "label_loyalty": "loyalty"}
    columns["label_loyalty_attacked"] = "loyalty, attacked"
    print(f"\n| | {' | '.join(columns.values())} |\n|---{'|---' * len(columns)}|")
    for name, some in _named(asked).items():
        results = [bench.known[one.key] for one in some]
        cells = [_cell([result[c] for result in results if c in result]) for c in columns]
        flag = " (at chance)" if any(result["at_chance"] for result in results) else ""
        print(f"| {name}{flag} | {' | '.join(cells)} |", flush=True)


def _cell(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{100 * values[0]:.1f}" if values else ""
    return f"{100 * statistics.mean(values):.1f} ± {100 * statistics.stdev(values):.1f}"


def answers(bench: Bench, asked: Sequence[Row], measures: Sequence[str]) -> list[Claim]:
    """The questions, each over rows and seeds, p-values adjusted over all of these."""
    kept = {name: [bench.right(one) for one in some] for name, some in _named(asked).items()}
    pairs = []
    for measure_ in measures:
        samples = {
            name: Sample(np.stack([one[measure_] for one in some]).astype(np.float64))
            for name, some in kept.items()
        }
        count = samples[TEACHER].rates.shape[1]  # type: ignore[union-attr]
        means = dict(zip(samples, drawn(list(samples.values()), count), strict=True))
        for first, second in QUESTIONS:
            difference = samples[first].values(count).mean() - samples[second].values(count).mean()
            single = len(kept[first]) == len(kept[second]) == 1
            exact = mcnemar(*(kept[name][0][measure_] for name in (first, second)))
            draws = means[first] - means[second]
            pairs.append(
                Pair(measure_, first, second, float(difference), draws, exact if single else None)
            )
    return claims(pairs)


def show(title: str, found: Sequence[Claim]) -> None:
    """A table of differences, in points."""
    print(f"\n{title}\n\n| | less | attack | points | 95 % | p (Holm) | |\n|{'---|' * 7}")
    for one in found:
        low, high = 100 * one.interval.low, 100 * one.interval.high
        exact = "" if one.mcnemar is None else f" (McNemar {one.mcnemar:.2g})"
        print(
            f"| {one.first} | {one.second} | {one.measure.removeprefix('robust_')} | "
            f"{100 * one.difference:+.1f} | {low:+.1f} to {high:+.1f} | "
            f"{one.adjusted:.2g}{exact} | {one.verdict.lower()} |",
            flush=True,
        )


def _named(asked: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for one in asked:
        found.setdefault(one.name, []).append(one)
    return found


def documents(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The study of the trainings, and the same with its attacks."""
    defence: dict[str, Any] = {"stage": ["during", "after", "teacher"], "share": arguments.share}
    document: dict[str, Any] = {
        "name": "robustness",
        "task": {"max_train_rows": 20000, "max_length": 64},
        "teacher": {"harden": {"epochs": 1, "learning_rate": 3.0e-5}},
        "space": {
            "student": {**STUDENT, "init": ["uniform", "random"]},
            "method": {"finetune": {}, "kd": {"temperature": 2.0}},
            "robust": {"none": {}, arguments.defence: defence},
            "train": {"learning_rate": 5.0e-4, "epochs": 2, "budget": "compute"},
        },
        "objectives": {"accuracy": {"goal": "max", "reference": 0.5}},
        "robustness": {
            "attacks": list(ATTACKS),
            "rows": arguments.rows,
            "budget": 30,
            "order": "gradient",
        },
    }
    document = override(document, arguments.set)
    attacked = override(document, [f"objectives.{WORST}={{goal: max, reference: 0.0}}"])
    return document, attacked


def fixed(spec: StudySpec, defence: str) -> dict[str, Any]:
    """The knobs that the study fixes: of its training, its methods and its defence."""
    drawn_ = spec.search_space.draw(lambda name, distribution: distribution.ends()[0])
    kept = {
        path: value for path, value in drawn_.items() if path.startswith(("train.", "student."))
    }
    for group, option in (("method", "kd"), ("robust", defence)):
        branch = spec.search_space.entries[group]
        knobs = branch.options[option]  # type: ignore[union-attr]
        kept |= {f"{group}.{option}.{knob}": node.ends()[0] for knob, node in knobs.items()}
    return kept


def main() -> None:
    """Runs all models and prints the tables in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--set", action="append", default=[], help="of the study, as in `search`")
    parser.add_argument("--storage", type=Path, default=Path("studies/robustness-benchmark"))
    parser.add_argument("--defence", choices=list(HARDENINGS), default="random_char")
    parser.add_argument("--share", type=float, default=0.3, help="of the updates: stage after")
    parser.add_argument("--rows", type=int, default=300, help="held-out rows to attack")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    document, attacked = documents(arguments)
    root, spec = arguments.storage / "cache", resolve(attacked)
    resources = attack_resources.prepare(spec, root, _say)
    inputs = prepare(resolve(document), root, _say)
    defaults = fixed(spec, arguments.defence)
    told = json.dumps(attacked, sort_keys=True).encode()
    own = arguments.storage / hashlib.sha256(told).hexdigest()[:8]  # other settings, other results
    own.mkdir(exist_ok=True)
    setting = Setting(document, attacked, defaults, inputs, resources, own)
    asked = list(rows(arguments.defence, arguments.share, arguments.seeds))
    bench = Bench(setting, arguments.workers)
    bench.run(asked)
    heldout = len(open_prepared(inputs.task).heldout)
    count = min(arguments.rows, heldout)
    defences = ", ".join(one.defence.shown for one in inputs.hardened if one.defence)
    print(f"Hardened by {defences}; {count} of {heldout} held-out rows.")
    summary(bench, asked)
    show("Under all attacks", answers(bench, asked, [WORST]))
    show("By attack", answers(bench, asked, ATTACKS))


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
