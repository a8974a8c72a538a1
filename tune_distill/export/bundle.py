"""The exported folder: weights, tokenizer, label names, card, and the config that reproduces it.

    DIR/  model.safetensors config.json tokenizer.json tokenizer_config.json
          README.md         the model card
          student.yaml      `tune-distill train student.yaml` trains it again
          metrics.json      the outcome, its intervals, versions and machine

Written to a temporary folder beside DIR, loaded again, compared with the trained student on rows
that the trial kept for this, and only then renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tune_distill.errors import DataError, ExportMismatch
from tune_distill.export.card import card
from tune_distill.folder import StudyFolder, TrialRecord, whole
from tune_distill.outcome import Objective
from tune_distill.spec.load import dump
from tune_distill.spec.space import as_yaml
from tune_distill.tasks import stated_kind
from tune_distill.trial import reference_error

TOLERANCE = 1e-5  # of a logit, on the same library and machine


def bundle(
    folder: StudyFolder,
    record: TrialRecord,
    document: Mapping[str, Any],
    objectives: Sequence[Objective],
    to: Path,
    *,
    teacher: Mapping[str, float],
    on_front: bool,
    replace: bool = False,
) -> Path:
    """Writes the student of a complete trial to a folder.

    Args:
        folder: of the study.
        record: the trial's.
        document: the study's YAML.
        objectives: of the study.
        to: the folder to write.
        teacher: the teacher's measures, for the card's comparison.
        on_front: whether no other trial dominates this one.
        replace: whether an earlier export in `to` gives way.

    Raises:
        DataError: the trial kept no student, or `to` holds something that may not be replaced.
        ExportMismatch: the exported model's logits are not the trained student's.
    """
    source = folder.student(record.number)
    if not (source / "model.safetensors").is_file():
        raise DataError(f"{source}: the student of trial {record.number} is not there")
    if to.exists() and not (replace and (to / "student.yaml").is_file()):
        why = "and is no exported student" if replace else "(--replace takes an exported student's)"
        raise DataError(f"{to}: exists already {why}; choose another folder with --to")
    with whole(to) as partial:
        _fill(partial, source, record, document, objectives, teacher, on_front)
        _verify(partial, source)
    return to


def reproduction(document: Mapping[str, Any], record: TrialRecord) -> dict[str, Any]:
    """The study that holds this one trial: every knob a constant, the seed included."""
    kept = {k: v for k, v in document.items() if k not in {"search", "name", "space"}}
    name = f"{document['name']}-trial-{record.number}"
    return {"name": name, **kept, "space": as_yaml(record.params)}


def _fill(
    folder: Path,
    source: Path,
    record: TrialRecord,
    document: Mapping[str, Any],
    objectives: Sequence[Objective],
    teacher: Mapping[str, float],
    on_front: bool,
) -> None:
    for file in source.iterdir():
        if file.name != "reference.safetensors":
            shutil.copyfile(file, folder / file.name)
    metrics = {
        "study": document["name"],
        "trial": record.number,
        "outcome": record.outcome.to_json() if record.outcome else None,
        "teacher": dict(teacher),
        "rungs": [vars(rung) for rung in record.rungs],
        "versions": dict(record.versions),
    }
    text = json.dumps(metrics, indent=2, default=dict)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    (folder / "student.yaml").write_text(dump(reproduction(document, record)), encoding="utf-8")
    problem = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("problem_type")
    kind = stated_kind(problem) or "single_label"
    text = card(record, document, objectives, teacher, kind=kind, on_front=on_front)
    (folder / "README.md").write_text(text, encoding="utf-8")


def _verify(exported: Path, trained: Path) -> None:
    error = reference_error(exported, trained / "reference.safetensors")
    if not error <= TOLERANCE:
        raise ExportMismatch(
            f"the exported model's logits differ from the trained student's by {error:.1e} "
            f"(allowed {TOLERANCE:.0e}); nothing was written"
        )
