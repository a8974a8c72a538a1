"""A study's resources: what its attacks and defences read; checked first, copied once.

    robustness: {attacks: [table, wordnet, bae], resources: {table: near.parquet, wordnet: dict,
                 masked_lm: google-bert/bert-base-uncased}}

`check` refuses a study whose attacks lack one. `prepare` copies them into the cache, each under a
digest of its content, so that workers open them by folder and a search outlives changes of the
originals. The built-in corpus brings a table of its own: the synonyms of its grammar.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import SpecError
from tune_distill.hardening.random_table import RandomTable
from tune_distill.robustness import neighbours, static
from tune_distill.robustness.attacks import RESOURCES, Attack
from tune_distill.robustness.given import HOW, builtin_table, located, open_masked, open_table
from tune_distill.robustness.opened import NONE, Opened
from tune_distill.robustness.recipes import ATTACKS
from tune_distill.robustness.table import Table
from tune_distill.spec.space import every, nodes

if TYPE_CHECKING:
    from tune_distill.spec import StudySpec
    from tune_distill.spec.attacks import RobustnessSpec
    from tune_distill.teacher.store import Say


@dataclass(frozen=True)
class Resources:
    """What the attacks of a study read, in the cache; None where none of them does."""

    table: Path | None = None  # parquet
    wordnet: Path | None = None  # parquet
    masked_lm: Path | None = None  # Hugging Face files
    static: Path | None = None  # JSON of rows that are adversarial already

    def open(self, device: str = "cpu") -> Opened:
        """All of them in memory; kept for the process's next trial."""
        return Opened(
            table=open_table(self.table) if self.table else None,
            wordnet=open_table(self.wordnet) if self.wordnet else None,
            masked_lm=open_masked(self.masked_lm, device) if self.masked_lm else None,
        )


def attacks(spec: RobustnessSpec) -> list[Attack]:
    """The attacks of a study, but for the digests of their resources."""
    return [
        recipe.ordered(spec.order).under(spec.profile).within(spec.budget)
        for recipe in (ATTACKS[name] for name in spec.attacks)
    ]


def check(spec: StudySpec) -> None:
    """Refuse a study whose attacks need what it doesn't name or what isn't there.

    Raises:
        SpecError: a line for each resource that is missing.
    """
    given, problems = spec.robustness.resources, []
    for name in _needed(spec):
        key, value = f"robustness.resources.{name}", getattr(given, name)
        if value is None and not _own_table(spec, name):
            readers = [reader for reader, names in _readers(spec) if name in names]
            problems.append(f"{key}: missing; {_need(readers)} {HOW[name]}")
        elif value is not None and name != "masked_lm" and not Path(value).expanduser().exists():
            problems.append(f"{key}: {value} does not exist; give {HOW[name]}")
    if (rows := spec.robustness.static) and not Path(rows).expanduser().is_file():
        problems.append(f"robustness.rows: {rows} is no file; give a number, or a file of rows")
    if problems:
        raise SpecError(problems)


def prepare(spec: StudySpec, root: Path, say: Say) -> Resources:
    """Reads what the attacks of a study need and files it in the cache, or finds it there.

    Args:
        spec: the study.
        root: the folder of all caches.
        say: hears what is read.

    Raises:
        SpecError: a resource is missing.
        DataError: a file holds no neighbours.
        TeacherError: the masked model can't be had.
    """
    check(spec)
    given, folder = spec.robustness.resources, root / "resources"
    found: dict[str, Path] = {}
    for name in _needed(spec):
        key, value = f"robustness.resources.{name}", getattr(given, name)
        if name == "masked_lm":
            found[name] = _keep_masked(value, key, folder, say)
            continue
        own = value is None
        table = builtin_table() if own else neighbours.read(Path(value).expanduser(), key)
        found[name] = _keep_table(table, folder)
        say(f"{name}: {len(table.words):,} words with {len(table.neighbours):,} neighbours")
    return Resources(**found)


def with_static(
    resources: Resources, spec: StudySpec, label_names: Sequence[str], root: Path, say: Say
) -> Resources:
    """The same with the rows that a study scores as they are, if it has some.

    Args:
        resources: what `prepare` made.
        spec: the study.
        label_names: its task's, by number.
        root: the folder of all caches.
        say: hears how many rows there are.

    Raises:
        DataError: they are not of the task's columns or classes.
    """
    if spec.robustness.static is None:
        return resources
    path, key = Path(spec.robustness.static).expanduser(), "robustness.rows"
    text = static.columns(spec.task, key)
    rows = static.read(path, key, text, static.label(spec.task), label_names)
    say(f"static rows: {len(rows):,}")
    return replace(resources, static=static.keep(rows, root / "resources"))


def identities(spec: StudySpec, resources: Resources) -> list[str]:
    """All that the numbers of a study's attacks depend on but the rows they are drawn from."""
    own = [one.canonical() for one in _bound(spec, resources)]
    return own + ([f"static:{resources.static.stem}"] if resources.static else [])


def digests(spec: StudySpec, resources: Resources) -> list[tuple[str, str]]:
    """What each attack of a study is shown as: its name, profile, budget, and a hash of it all."""
    return [(f"attack.{one.name}", one.shown) for one in _bound(spec, resources)]


def _bound(spec: StudySpec, resources: Resources) -> list[Attack]:
    found = resources.open() if spec.attacked else NONE
    return [found.bound(one) for one in attacks(spec.robustness)] if spec.attacked else []


def _needed(spec: StudySpec) -> list[str]:
    return [name for name in RESOURCES if any(name in names for _, names in _readers(spec))]


def _readers(spec: StudySpec) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The attacks and the defences of a study, each with the resources that it reads."""
    for name in spec.robustness.attacks if spec.attacked else ():
        yield name, ATTACKS[name].resources
    for name, knobs in nodes(spec.space.robust).items():
        if knobs is not None and name == RandomTable.name:
            yield name, ("table",)
        elif knobs is not None and "recipe" in nodes(knobs):  # looks for adversarial texts
            for recipe in every(nodes(knobs)["recipe"]):
                yield f"{name} by {recipe}", ATTACKS[recipe].resources


def _need(readers: Sequence[str]) -> str:
    return f"{' and '.join(readers)} need{'s' * (len(readers) == 1)}"


def _own_table(spec: StudySpec, name: str) -> bool:
    return name == "table" and spec.task.builtin is not None


def _keep_table(table: Table, folder: Path) -> Path:
    path = folder / f"{table.digest}.parquet"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        os.close(handle)
        try:
            table.write(Path(name))
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    return path


def _keep_masked(value: str, key: str, root: Path, say: Say) -> Path:
    from tune_distill.teacher.loading import digest, load_masked, load_tokenizer
    from tune_distill.teacher.store import alone, keep

    source = located(value, key)
    model = load_masked(source, value)
    folder = root / f"{source.name}-{digest(model)[:16]}"
    with alone(folder, say):
        if not folder.is_dir():
            keep(model, load_tokenizer(source, value), folder, {"masked_lm": value})
    return folder
