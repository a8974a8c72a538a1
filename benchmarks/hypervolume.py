"""The front's hypervolume against the training that it cost: ours, random search, and peers.

    python benchmarks/hypervolume.py                    # replays curves.parquet
    python benchmarks/hypervolume.py --synetune PYTHON  # with syne-tune, see peers.py
    python benchmarks/hypervolume.py --live STUDY       # real searches of a study instead

In a replay every strategy spends the same training updates on the same simulated workers; only
students that were trained to the end are on a front. Two tables are printed. In the first all
draw at random from the recorded configs, so that nothing but the stopping differs and no curve is
modelled. In the second they sample what they like, and a surrogate answers (`replay.py`).

A live check runs STUDY once for each of `LIVE` (a sampler and a rule) and seed, with three times
the trials where trials are stopped, and compares the fronts at the updates that all have spent.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import optuna
from curves import STUDY, TABLE
from optuna.samplers import NSGAIISampler
from peers import Stock, SyneTune, TuneASHA
from replay import Array, Strategy, Surrogate, Table, replay, spearman, steps
from strategies import (
    AtRandom,
    Made,
    Never,
    Ours,
    Promoting,
    Recorded,
    Sampled,
    Searching,
    Stopping,
)

from tune_distill import pareto, trial
from tune_distill.draws import infeasible, known
from tune_distill.front import Front
from tune_distill.launch.search import search
from tune_distill.outcome import Objective, reference_losses
from tune_distill.prepare import prepare
from tune_distill.record import TrialRecord
from tune_distill.searcher.samplers import sampler
from tune_distill.spec import StudySpec, read, resolve
from tune_distill.spec.load import find, override
from tune_distill.statistics import paired_difference

Make = Callable[[int], Strategy]  # of a seed
RULES = ("moasha", "asha", "median")
LIVE = (("random", "none"), ("random", "moasha"), ("tpe", "none"), ("ehvi", "none"))
POINTS = 400  # of a curve


@dataclass(frozen=True)
class Options:
    """Of a replay."""

    axes: Sequence[Objective]
    epochs: int  # of a training
    grid: Array  # updates, at which fronts are compared; the last is the budget
    seeds: int
    workers: int
    python: str | None  # that has syne-tune


@dataclass(frozen=True)
class Found:
    """What the runs of one strategy have found."""

    volumes: Array  # (seeds, grid)
    begun: float  # trials, mean over the seeds
    complete: float


def stoppings(options: Options) -> dict[str, Callable[[int], Stopping]]:
    """What stops trials, by name; of a seed."""
    axes, epochs, python = options.axes, options.epochs, options.python
    made: dict[str, Callable[[int], Stopping]] = {"no stopping": lambda _: Never()}
    for rule in RULES:
        made[f"ours, {rule}"] = lambda _, rule=rule: Ours(rule, axes, epochs)  # type: ignore[misc]
    made["Tune's ASHA on accuracy"] = lambda _: TuneASHA(epochs)
    if python:
        made["syne-tune's MOASHA"] = lambda seed: SyneTune(python, axes, epochs, seed)
        made["the same, its priority mended"] = lambda seed: SyneTune(
            python, axes, epochs, seed, mended=True
        )
    return made


def on_table(table: Table, options: Options) -> dict[str, Make]:
    """Rules on the recorded configs, drawn at random."""

    def of(stopping: Callable[[int], Stopping]) -> Make:
        return lambda seed: Searching(Recorded(table, seed), stopping(seed))

    made = {name: of(stopping) for name, stopping in stoppings(options).items()}
    made["ours, moasha by promotion"] = lambda seed: Promoting(
        Recorded(table, seed), options.axes, options.epochs
    )
    return made


def on_surrogate(surrogate: Surrogate, spec: StudySpec, options: Options) -> dict[str, Make]:
    """Samplers and rules on what the surrogate says of their draws."""
    space, axes, epochs = spec.search_space, options.axes, options.epochs
    rules = stoppings(options)

    def students(seed: int) -> Made:
        return lambda params, number: surrogate.student(params, 1000 * seed + number)

    def at_random(name: str) -> Make:
        return lambda seed: Searching(AtRandom(space, students(seed), seed), rules[name](seed))

    def ours(name: str, rule: str) -> Make:
        def make(seed: int) -> Strategy:
            keys = {"search": spec.search.model_copy(update={"seed": seed, "sampler": name})}
            chosen = sampler(spec.model_copy(update=keys), 0, surrogate.known)
            return Searching(Sampled(space, students(seed), axes, chosen), rules[rule](seed))

        return make

    made = {"random": at_random("no stopping"), "random; ours, moasha": at_random("ours, moasha")}
    for name in ("tpe", "ehvi"):
        made[f"ours: {name}, none"] = ours(name, "no stopping")
        made[f"ours: {name}, moasha"] = ours(name, "ours, moasha")
    made["Optuna's NSGA-II, none"] = lambda seed: Searching(
        Sampled(space, students(seed), axes, NSGAIISampler(seed=seed)), Never()
    )
    made["Tune's OptunaSearch and ASHA on accuracy"] = lambda seed: Searching(
        Stock(space, students(seed), axes, seed), TuneASHA(epochs)
    )
    for name in ("syne-tune's MOASHA", "the same, its priority mended"):
        if name in rules:
            made[name] = at_random(name)
    return made


def found(make: Make, options: Options) -> Found:
    """A strategy on every seed."""
    budget, corner = float(options.grid[-1]), reference_losses(options.axes)
    runs = [replay(make(seed), budget, options.workers) for seed in range(options.seeds)]
    curves = []
    for run in runs:
        rows = [student.losses(options.axes) for student in run.students]
        table = np.array(rows).reshape(-1, len(options.axes))
        curves.append((run.spent, pareto.hypervolume_curve(table, corner)))
    return Found(
        steps(curves, options.grid),
        float(np.mean([run.begun for run in runs])),
        float(np.mean([len(run.students) for run in runs])),
    )


def show(title: str, strategies: Mapping[str, Make], options: Options) -> None:
    """A table in Markdown; the first strategy is what the others are compared with."""
    print(
        f"\n{title}\n\n| | hypervolume, mean ± sd | minus the first's (95 %) | updates to the",
        end="",
    )
    print(" first's | of its updates | trials begun, complete |\n|---|---|---|---|---|---|")
    first: Found | None = None
    for name, make in strategies.items():
        one = found(make, options)
        first = first or one
        final, target = one.volumes[:, -1], float(first.volumes[:, -1].mean())
        gap = paired_difference(final, first.volumes[:, -1])
        against = "" if one is first else f"{gap.low:+.3f} … {gap.high:+.3f}"
        there = np.flatnonzero(one.volumes.mean(axis=0) >= target)
        cost = float(options.grid[there[0]]) if len(there) else np.nan
        reached = f"{cost:,.0f} | {cost / options.grid[-1]:.2f}" if len(there) else "more | "
        cells = f"{final.mean():.3f} ± {final.std(ddof=1):.3f} | {against} | {reached}"
        print(f"| {name} | {cells} | {one.begun:.0f}, {one.complete:.0f} |", flush=True)


def live(study: str, overrides: Sequence[str], storage: Path, seeds: int, trials: int) -> None:
    """Real searches of a study by each of `LIVE`, compared at the updates that all have spent."""
    curves: dict[str, list[tuple[Array, Array]]] = {}
    for sampled, rule in LIVE:
        for seed in range(seeds):
            count = trials if rule == "none" else 3 * trials
            keys = {"trials": count, "seed": seed, "sampler": sampled, "stop_early.rule": rule}
            more = [f"search.{key}={value}" for key, value in keys.items()]
            named = f"name={sampled}-{rule}-{seed}"
            document = override(read(find(study), overrides), [*more, named])
            spec = resolve(document)
            standing = search(
                spec,
                document,
                storage,
                prepare=prepare,
                run=trial.run,
                read_rungs=trial.read_rungs,
                infeasible=partial(infeasible, spec),
                known=known,
                say=lambda line: print(line, file=sys.stderr),
            )
            print(f"{spec.name}: {standing.states}", file=sys.stderr)
            curves.setdefault(f"{sampled}, {rule}", []).append(spent(standing.records, spec))
    budget = min(float(where[-1]) for runs in curves.values() for where, _ in runs)
    shares = (1 / 3, 1 / 2, 1.0)
    print(
        f"\nhypervolume after {budget:,.0f} updates, and after shares of them, mean of the seeds\n"
    )
    print(f"| | {' | '.join(f'{share:.2f}' for share in shares)} |\n{'|---' * 4}|")
    for name, runs in curves.items():
        volumes = steps(runs, budget * np.array(shares)).mean(axis=0)
        print(f"| {name} | {' | '.join(f'{volume:.4f}' for volume in volumes)} |")


def spent(records: Sequence[TrialRecord], spec: StudySpec) -> tuple[Array, Array]:
    """(updates spent, hypervolume) whenever a trial ended."""
    ordered = sorted(records, key=lambda record: record.started + record.seconds)
    costs = np.cumsum([record.rungs[-1].updates if record.rungs else 0 for record in ordered])
    volumes = [
        pareto.hypervolume(front.losses, front.corner)
        for front in (Front(ordered[: n + 1], spec.axes, spec.bounds) for n in range(len(ordered)))
    ]
    return costs.astype(float), np.array(volumes)


def replays(arguments: argparse.Namespace) -> None:
    """Both tables."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table = Table.read(arguments.table)
    spec = resolve(override(STUDY, ["teacher.model=none", "task.dataset=none"]))
    updates = table.students[0].updates
    grid = np.linspace(0, arguments.trainings * updates[-1], POINTS + 1)[1:]
    known = (arguments.seeds, arguments.workers, arguments.synetune)
    options = Options(spec.axes, len(updates), grid, *known)
    early = (
        f"{spearman(table.curves[:, epoch - 1], table.curves[:, -1]):.2f} after {epoch}"
        for epoch in (1, 3, 6)
    )
    print(f"{len(table.students)} configs; rank correlation of their accuracy with the last one:")
    print(f"{', '.join(early)} of {len(updates)} epochs")
    if arguments.only != "surrogate":
        show("Recorded configs, drawn at random", on_table(table, options), options)
    if arguments.only != "table":
        surrogate = Surrogate(table)
        told = ", ".join(f"{name} {value:.3f}" for name, value in surrogate.error().items())
        print(f"\nthe surrogate's last accuracy of a config that it was not shown: {told}")
        show("Samplers on the surrogate", on_surrogate(surrogate, spec, options), options)


def main() -> None:
    """Replays, or a live check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--only", choices=["table", "surrogate"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4, help="simulated ones")
    parser.add_argument("--trainings", type=float, default=60, help="the budget, in whole ones")
    parser.add_argument("--synetune", metavar="PYTHON", help="of an environment that has it")
    parser.add_argument("--live", metavar="STUDY", help="a study's file or shipped name")
    parser.add_argument("--set", action="append", default=[], help="of the live study")
    parser.add_argument("--storage", type=Path, default=Path("studies/live-benchmark"))
    parser.add_argument("--trials", type=int, default=12, help="of a live search without stopping")
    arguments = parser.parse_args()
    if arguments.live:
        live(arguments.live, arguments.set, arguments.storage, arguments.seeds, arguments.trials)
    else:
        replays(arguments)


if __name__ == "__main__":
    main()
