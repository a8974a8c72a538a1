"""The exported folder: weights, tokenizer, label names, card, and the config that reproduces it.

    DIR/  model.safetensors config.json tokenizer.json tokenizer_config.json
          onnx/             model.onnx, model_quantized.onnx; where asked for
          README.md         the model card
          front.png         the study's front, this student marked
          .eval_results/    what the hub reads of a model's scores
          student.yaml      `tune-distill train student.yaml` trains it again
          metrics.json      the outcome, its intervals, each form's figures, what fresh seeds
                            confirm of it, versions, machine
          environment.txt   the versions, as pip reads them

Written to a temporary folder beside DIR, loaded again, compared with the trained student on rows
that the trial kept for this, measured, and only then renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tune_distill.errors import DataError
from tune_distill.export.bench import Bench
from tune_distill.export.card import card
from tune_distill.export.copied import checked
from tune_distill.export.environment import environment
from tune_distill.export.figures import Figures
from tune_distill.export.scores import Shown, eval_results
from tune_distill.export.source import Source
from tune_distill.files import whole
from tune_distill.forms import Wanted
from tune_distill.forms.convert import REFERENCE
from tune_distill.measure.attack_rows import FILE
from tune_distill.measure.latency import in_words, machine
from tune_distill.plots import front_data
from tune_distill.plots.picture import picture
from tune_distill.record import TrialRecord
from tune_distill.spec import TrialConfig
from tune_distill.spec.load import dump
from tune_distill.spec.space import reproduction
from tune_distill.tasks import stated_kind

CONFIG = "student.yaml"  # by which an exported student is known


def bundle(
    source: Source,
    record: TrialRecord,
    to: Path,
    *,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    bench: Bench | None = None,
    replace: bool = False,
) -> dict[str, Figures]:
    """Writes the student of a complete trial to a folder.

    Args:
        source: the study.
        record: the trial's.
        to: the folder to write.
        wanted: the forms beside PyTorch's.
        bench: measures the forms; None leaves it.
        replace: whether an earlier export in `to` gives way.

    Returns:
        The figures of its forms, by name, and of its teacher; none without a bench.

    Raises:
        DataError: the trial kept no student, or `to` holds something that may not be replaced.
        ExportMismatch: an exported form's logits are not the trained student's.
    """
    trained = source.folder.student(record.number)
    if not (trained / "model.safetensors").is_file():
        raise DataError(f"{trained}: the student of trial {record.number} is not there")
    may_write(to, CONFIG, replace=replace)
    with whole(to) as partial:
        for file in trained.iterdir():
            if file.name != REFERENCE:
                shutil.copyfile(file, partial / file.name)
        attacked = source.folder.trial(record.number) / FILE
        student = checked(partial, trained, wanted, attacked)
        figures = bench.measure(student) if bench else {}
        robust = TrialConfig.from_params(record.params).robust
        if robust and robust.of_teacher:  # the bench has the study's own teacher, which is another
            figures.pop("teacher", None)
        _describe(partial, source, record, figures, bench.rows if bench else {})
    return figures


def may_write(to: Path, known_by: str, *, replace: bool) -> None:
    """Raises DataError where a folder holds something that an export may not replace.

    Args:
        to: the folder.
        known_by: the file by which an earlier export is known.
        replace: whether such a one gives way.
    """
    if to.exists() and not (replace and (to / known_by).is_file()):
        why = "and is no such export" if replace else "(--replace takes an earlier export's place)"
        raise DataError(f"{to}: exists already {why}; choose another folder with --to")


def _describe(
    folder: Path,
    source: Source,
    record: TrialRecord,
    figures: Mapping[str, Figures],
    heldout: Mapping[str, int],
) -> None:
    """Writes all but the models themselves."""
    place, problem = machine(), _config(folder).get("problem_type")
    teacher = source.folder.teacher_of(record.params)
    measures = teacher.measures() if teacher else {}
    spec = source.spec
    drawn = picture(
        front_data(source.records, spec.axes, measures, spec.name, spec.bounds), record.number
    )
    shown = Shown(
        kind=stated_kind(problem) or "single_label",
        figures=figures,
        heldout=heldout,
        machine=in_words(place),
        pictured=drawn is not None,
    )
    if drawn:
        (folder / "front.png").write_bytes(drawn)
    confirmed = source.confirmed.shown(record) if source.confirmed else None
    metrics = {
        "study": spec.name,
        "trial": record.number,
        "outcome": record.outcome.to_json() if record.outcome else None,
        "teacher": measures,
        "forms": {name: one.to_json() for name, one in figures.items()},
        **({"confirmed": confirmed} if confirmed else {}),
        "rungs": [vars(rung) for rung in record.rungs],
        "versions": dict(record.versions),
        "machine": place,
    }
    texts = {
        "metrics.json": json.dumps(metrics, indent=2, default=dict) + "\n",
        CONFIG: dump(reproduction(source.document, record.number, record.params)),
        "README.md": card(source, record, shown),
        "environment.txt": environment(record.versions),
        ".eval_results/tune-distill.yaml": eval_results(source, record, shown),
    }
    for name, text in texts.items():
        if text:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found
