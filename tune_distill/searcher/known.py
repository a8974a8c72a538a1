"""A warm start: what an earlier study's trials were worth, as points that the sampler knows.

They are no trials of the new study: without a record they cost no budget, are on no front, and
keep no draw from being tried anew. NSGA-II and NSGA-III breed from their own generations only,
and learn nothing from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from tune_distill.errors import SpecError
from tune_distill.folder import StudyFolder
from tune_distill.record import TrialRecord
from tune_distill.searcher.draws import as_optuna, reaches
from tune_distill.searcher.study import constraints, values
from tune_distill.space import Choice, Constant, Distribution, Params, Scalar
from tune_distill.spec import StudySpec, read, resolve

KNOWN = "known"  # the attribute of such a point: [study's folder, trial's number]
COMPARED = ("task", "teacher", "robustness")  # sections that decide what a measure means
BREEDERS = ("nsga2", "nsga3")


def add_known(
    study: optuna.Study, folder: StudyFolder, spec: StudySpec, say: Callable[[str], None]
) -> None:
    """Adds the complete trials of `search.from` that fit; each once, however often it is run.

    Raises:
        SpecError: there is no such study.
    """
    if spec.search.known is None:
        return
    source = _source(spec.search.known, folder)
    trials = study.get_trials(deepcopy=False)
    have = {tuple(t.user_attrs[KNOWN]) for t in trials if KNOWN in t.user_attrs}
    complete = [record for record in source.records() if record.outcome is not None]
    new = [r for r in complete if (str(source.path), r.number) not in have]
    refused: Counter[str] = Counter()
    for record in new:
        reason = misfit(record, spec)
        if reason:
            refused[reason] += 1
        else:
            _add(study, spec, record, str(source.path))
    taken = len(new) - refused.total()
    if taken or not trials:
        say(_told(spec, source, len(complete), taken + len(have), refused))


def misfit(record: TrialRecord, spec: StudySpec) -> str:
    """Why a study can't know a complete trial of another; nothing where it can."""
    measures = record.outcome.measures() if record.outcome else {}
    if missing := [axis.name for axis in spec.axes if axis.name not in measures]:
        return f"{missing[0]} was not measured"
    outside: list[str] = []

    def suggest(name: str, distribution: Distribution) -> Scalar:
        path = name.partition("|")[0]
        value = record.params.get(path)
        if path not in record.params or not reaches(distribution, value):
            outside.append(path)
            return _some(distribution)
        return value

    drawn = spec.search_space.draw(suggest)
    outside += [path for path, value in _plain(drawn).items() if _other(record, path, value)]
    outside += [path for path in _plain(record.params) if path not in drawn]
    return f"{outside[0]} is outside of the space" if outside else ""


def _add(study: optuna.Study, spec: StudySpec, record: TrialRecord, source: str) -> None:
    params, distributions = as_optuna(spec.search_space, record.params)
    study.add_trial(
        create_trial(
            state=TrialState.COMPLETE,
            values=values(record, spec),
            constraints=constraints(record, spec),
            params=params,
            distributions=distributions,
            user_attrs={KNOWN: [source, record.number]},
        )
    )


def _source(name: str, folder: StudyFolder) -> StudyFolder:
    """The study that a folder or a name in the same storage means."""
    for found in (folder.beside(name), StudyFolder(Path(name).resolve())):
        if found.begun():
            if found.path.resolve() == folder.path.resolve():
                raise SpecError(f"search.from: {name} is this study itself")
            found.pull()
            return found
    there = sorted(p.parent.name for p in folder.path.parent.glob("*/study.yaml"))
    others = [one for one in there if one != folder.path.name]
    raise SpecError(
        f"search.from: {name} is no study of {folder.path.parent} and no folder of one; "
        f"studies there: {', '.join(others) or 'none'}"
    )


def _told(
    spec: StudySpec, source: StudyFolder, complete: int, taken: int, refused: Counter[str]
) -> str:
    text = f"search.from: the sampler knows {taken} of {complete} complete trials of {source.path}"
    if refused:
        reasons = (f"{why} ({count})" for why, count in refused.most_common(3))
        text += f"; the others don't fit: {', '.join(reasons)}"
    if others := _different(spec, source):
        text += f"; they are of another {' and '.join(others)}"
    if spec.search.sampler in BREEDERS:
        text += f"; {spec.search.sampler} learns nothing from them, ehvi and tpe would"
    return text


def _different(spec: StudySpec, source: StudyFolder) -> list[str]:
    """The sections in which the studies differ, so that their measures do."""
    earlier = resolve(read(source.study))
    return [name for name in COMPARED if getattr(spec, name) != getattr(earlier, name)]


def _plain(params: Params) -> dict[str, Any]:
    """A draw without its seed, which most often follows from the trial's number."""
    return {path: value for path, value in params.items() if path != "train.seed"}


def _other(record: TrialRecord, path: str, value: Scalar) -> bool:
    return path not in record.params or record.params[path] != value


def _some(distribution: Distribution) -> Scalar:
    """A value with which a draw can go on."""
    match distribution:
        case Constant(value) | Choice((value, *_)):
            return value
        case _:
            return distribution.ends()[0]
