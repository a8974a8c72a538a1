"""The data and the page of a study's folder: the same for `front`, front.json and MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tune_distill.folder import StudyFolder
from tune_distill.front import Front
from tune_distill.measure.attack_rows import FILE, ties
from tune_distill.plots.data import Data, front_data
from tune_distill.record import TrialRecord
from tune_distill.spec import StudySpec
from tune_distill.spec.load import dump
from tune_distill.spec.space import reproduction


def study_data(
    folder: StudyFolder, spec: StudySpec, records: Sequence[TrialRecord] | None = None
) -> Data:
    """What front.json holds of a study.

    Args:
        folder: of the study.
        spec: of it.
        records: of its ended trials; read from the folder where they aren't given.
    """
    known = folder.records() if records is None else records
    teacher = folder.teacher()
    return front_data(
        known,
        spec.axes,
        teacher.measures() if teacher else None,
        spec.name,
        spec.bounds,
        hardened=[
            {"defence": defence.shown, "measures": one.measures()}
            for defence, one in folder.hardened()
        ],
        ties=_ties(folder, spec, known),
    )


def students(document: Mapping[str, Any], data: Data) -> dict[int, str]:
    """The student.yaml of each trial on the front, by number: `tune-distill train` takes it.

    Args:
        document: of study.yaml.
        data: of front.json.
    """
    return {
        trial["number"]: dump(reproduction(document, trial["number"], trial["params"]))
        for trial in data["trials"]
        if trial["on_front"]
    }


def as_json(data: Data) -> str:
    """The text of front.json."""
    return json.dumps(data, indent=1, allow_nan=False)


def _ties(
    folder: StudyFolder, spec: StudySpec, records: Sequence[TrialRecord]
) -> dict[int, list[int]]:
    """Which of the front can't be told from each other in robustness, on the same rows."""
    if "robust_worst" not in {axis.name for axis in spec.axes}:
        return {}
    members = Front(records, spec.axes, spec.bounds).members
    files = {number: folder.trial(number) / FILE for number in members}
    return ties({number: file for number, file in files.items() if file.is_file()})
