"""What a card shows beside its trial, and its scores as the hub reads them.

`model_index` goes into the card's metadata, which the hub calls legacy; `eval_results` makes the
file that it reads today, for data sets that it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tune_distill.export import described
from tune_distill.export.figures import Figures
from tune_distill.export.source import Source
from tune_distill.methods import Kind
from tune_distill.outcome import Outcome
from tune_distill.record import TrialRecord

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


@dataclass(frozen=True)
class Shown:
    """What a card tells beside the trial's own record.

    Attributes:
        kind: of the task.
        figures: of the forms, by name; none where nothing was measured.
        heldout: how many rows each held-out split has.
        machine: what the latencies were taken on, in words.
        pictured: whether front.png is there.
    """

    kind: Kind = "single_label"
    figures: Mapping[str, Figures] = field(default_factory=dict)
    heldout: Mapping[str, int] = field(default_factory=dict)
    machine: str = ""
    pictured: bool = False


def eval_results(source: Source, record: TrialRecord, beside: Shown) -> str:
    """What goes under `.eval_results`, as YAML; nothing where the hub has no such data set.

    The value is of the very student that is exported, measured here or by `confirm`; what fresh
    seeds say stands in the notes.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from yaml import safe_dump

    hub = described.dataset(source.spec.task)
    found = heldout(source, record, beside)
    if hub is None or not found:
        return ""
    metric, value = next(iter(found["heldout"].items()))
    again = source.confirmed.in_words(record) if source.confirmed else ""
    entry = EvalResultEntry(
        dataset_id=hub[0],
        task_id=hub[1] or "default",
        value=round(value, 4),
        notes=f"{metric} on the validation split" + (f"; {again}" if again else ""),
    )
    return safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False)


def heldout(source: Source, record: TrialRecord, beside: Shown) -> dict[str, dict[str, float]]:
    """The exported student's held-out figures, by split and metric.

    As they were measured at export, or of `confirm`, which has read the same student; else none.
    """
    if figures := beside.figures.get("pytorch"):
        return {
            split: {name: one.score for name, one in found.items()}
            for split, found in figures.heldout.items()
        }
    value = source.confirmed.found(record) if source.confirmed else None
    if source.confirmed is None or value is None:
        return {}
    return {"heldout": {source.confirmed.told["metric"]: value}}


def model_index(
    source: Source, record: TrialRecord, outcome: Outcome, beside: Shown, metric: str
) -> Iterator[EvalResult]:
    """The model-index: held-out figures, or the search's own where none were measured."""
    from huggingface_hub import EvalResult

    hub = described.dataset(source.spec.task)
    name = described.task(source.spec.task)
    searched = {"search (held out of train)": {metric: outcome.accuracy}}
    splits = heldout(source, record, beside) or searched
    for split, found in splits.items():
        for measure, value in found.items():
            yield EvalResult(
                task_type="text-classification",
                dataset_type=hub[0] if hub else name,
                dataset_name=name,
                dataset_config=hub[1] if hub else None,
                dataset_split=split.replace("heldout", "validation") if hub else split,
                metric_type=measure,
                metric_value=round(value, 4),
            )
