"""The model card: what the student is, how good, against its teacher, and how to use it.

`card.md` is its text, with the hub's metadata in front.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tune_distill.errors import DataError
from tune_distill.export import described, tables
from tune_distill.export.figures import Figures
from tune_distill.export.scores import Shown, model_index
from tune_distill.export.source import Source
from tune_distill.forms.onnx import FLOAT, INT8
from tune_distill.measure.attack_rows import FILE, read_rows
from tune_distill.outcome import Outcome
from tune_distill.record import TrialRecord

_SPLIT = "heldout_"  # before the names of further held-out splits
_TEMPLATE = Path(__file__).with_name("card.md")


def card(source: Source, record: TrialRecord, beside: Shown) -> str:
    """The README.md of an exported student."""
    from huggingface_hub import ModelCard, ModelCardData

    from tune_distill.tasks.source import metrics_of

    spec, outcome, params = source.spec, _measured(record), record.params
    metrics = metrics_of(spec.task, beside.kind)
    forms = [name for name in beside.figures if name != "teacher"]
    hub = described.dataset(spec.task)
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        base_model=described.base_models(source.document, params) or None,
        datasets=[hub[0]] if hub else None,
        metrics=list(metrics),
        tags=[
            *("tune-distill", "knowledge-distillation", str(params["method"])),
            *(["onnx", "transformers.js"] if "onnx" in forms else []),
        ],
        model_name=source.name(record),
        eval_results=list(model_index(source, record, outcome, beside, metrics[0])),
    )
    (example,) = described.inputs(spec.task)
    texts = [example] if isinstance(example, str) else list(example.values())
    timed = next((one.latency for one in beside.figures.values()), None)
    made = ModelCard.from_template(
        data,
        template_path=str(_TEMPLATE),
        name=source.name(record),
        number=record.number,
        study=spec.name,
        front=", on its Pareto front" if record.number in source.front.members else "",
        layers=params["student.layers"],
        hidden=params["student.hidden_size"],
        family=described.FAMILIES[str(params.get("student.family", "bert"))],
        parameters=outcome.parameters,
        size_mb=outcome.size_mb,
        how=described.how(params),
        teacher=described.teacher(source.document["teacher"]) + described.hardened(params),
        task=described.task(spec.task),
        reads=described.reads(params) + described.defended(params),
        pictured=beside.pictured,
        forms=tables.forms(beside.figures, outcome) if beside.figures else "",
        metrics=", ".join(metrics),
        heldout=_rows(beside.heldout) if beside.heldout else "",
        robust=any(one.robust for one in beside.figures.values()),
        texts=timed and timed.texts,
        threads=timed and f"{timed.threads} thread{'s' * (timed.threads > 1)}",
        machine=beside.machine,
        notes=list(_notes(beside.figures)),
        **_confirmed(source, record, metrics[0]),
        searched=tables.searched(outcome, spec.axes, source.folder.teacher_of(params), metrics[0]),
        attacked=outcome.robust_worst is not None,
        attacks=", ".join(f"`{name}`" for name in _attacks(source, record)),
        attack_rows=spec.robustness.rows,
        budget=spec.robustness.budget or "any number of",
        folder="path/to/this/folder",
        example=json.dumps(example) + ", top_k=None" * (beside.kind == "multi_label"),
        columns=", ".join(json.dumps([text]) for text in texts),
        onnx=(INT8 if "int8" in forms else FLOAT) if "onnx" in forms else "",
    )
    return str(made) + "\n"


def _confirmed(source: Source, record: TrialRecord, metric: str) -> dict[str, Any]:
    """What the card says of fresh seeds; nothing where `confirm` has not tried this trial."""
    told = source.confirmed.shown(record) if source.confirmed else None
    if told is None:
        return {"confirmed": ""}
    attacked = told["attacked_rows"]
    own = {model["name"] for model in told["models"]}
    return {
        "confirmed": tables.confirmed(told, metric),
        "seeds": told["seeds"],
        "confirmed_rows": f"{told['rows']:,} rows"
        + (f", {attacked:,} of them under attack without a budget" if attacked else ""),
        "on_confirmed_front": any(model["on_front"] for model in told["models"]),
        "others": [
            f"{claim['measure']}: {claim['first']} against {claim['second']}: {claim['verdict']} "
            f"({claim['difference']:+.4f}, {claim['interval']['low']:+.4f} to "
            f"{claim['interval']['high']:+.4f}, p {claim['adjusted']:.2g})"
            for claim in told["claims"]
            if claim["second"] != "teacher" and not {claim["first"], claim["second"]} <= own
        ],
    }


def _rows(splits: Mapping[str, int]) -> str:
    """The held-out rows: `872 rows`, or `9,815 rows, and 9,832 of mismatched`."""
    own, *more = (
        f"{count:,} {'rows' if name == 'heldout' else f'of {name.removeprefix(_SPLIT)}'}"
        for name, count in splits.items()
    )
    return ", and ".join([own, *more])


def _measured(record: TrialRecord) -> Outcome:
    if record.outcome is None:
        raise ValueError(f"trial {record.number} has no outcome")
    return record.outcome


def _attacks(source: Source, record: TrialRecord) -> list[str]:
    """What the trial was attacked by: identities, or names where an earlier version ran it."""
    try:
        return list(read_rows(source.folder.trial(record.number) / FILE))
    except DataError:
        return list(source.spec.robustness.attacks)


def _notes(figures: Mapping[str, Figures]) -> Iterator[str]:
    """What has to be said of the other forms."""
    onnx, int8 = figures.get("onnx"), figures.get("int8")
    if onnx and onnx.max_error is not None:
        yield f"ONNX's logits differ from PyTorch's by {onnx.max_error:.0e} at most."
    if int8 and (against := int8.against):
        attacked = "" if against.robust_p is None else f", under attack {against.robust_p:.2g}"
        yield (
            f"int8 gives another class than PyTorch on {against.differing} of {against.rows:,} "
            f"rows (McNemar's p that both are right equally often: {against.p:.2g}{attacked})."
        )
    if int8:
        yield "int8 was asked for one text at a time: in a batch its answers differ a little."
    if int8 and int8.robust:
        yield (
            "Its attacks try words in the order of PyTorch's gradient, as those of PyTorch do, "
            "and int8 answers each text that they try."
        )
