"""The model card of an exported student, word by word: tests/golden/card.md.

Where the change is meant: python -m tests.golden.test_card, and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from tune_distill.errors import DataError
from tune_distill.export import Source
from tune_distill.export.card import card
from tune_distill.export.figures import Against, Figures
from tune_distill.export.scores import Shown, eval_results
from tune_distill.folder import StudyFolder
from tune_distill.measure.accuracy import Accuracy
from tune_distill.measure.latency import Latency
from tune_distill.outcome import Interval, Outcome
from tune_distill.record import TrialRecord
from tune_distill.spec import dump

GOLDEN = Path(__file__).with_name("card.md")
DOCUMENT = {
    "name": "sst2",
    "task": {"dataset": "glue/sst2", "max_length": 64},
    "teacher": {"fit": {"base": "google-bert/bert-base-uncased"}},
    "space": {
        "student": {"layers": [2, 4], "hidden_size": [192, 312], "heads": 12, "vocab": [8000]},
        "method": {"kd": {}},
    },
    "objectives": {
        "accuracy": {"goal": "max", "reference": 0.5},
        "size_mb": {"goal": "min", "reference": 100.0},
        "robust_worst": {"goal": "max", "reference": 0.0},
    },
    "robustness": {"attacks": ["char", "pruthi"]},
}
PARAMS = {
    "student.layers": 2,
    "student.hidden_size": 192,
    "student.heads": 12,
    "student.init": "last",
    "student.vocab": 8000,
    "method": "kd",
    "train.seed": 3,
}


def outcome(accuracy, size, robust):
    return Outcome(
        accuracy,
        size,
        parameters=int(size * 250_000),
        flops=8.9e7,
        robust_worst=robust,
        clean_on_attacked=accuracy,
        rates={"char": robust, "pruthi": robust + 0.1},
        intervals={
            "accuracy": Interval(accuracy - 0.02, accuracy + 0.02),
            "robust_worst": Interval(robust - 0.03, robust + 0.04),
        },
    )


def rate(value):
    return Accuracy(value, Interval(value - 0.03, value + 0.02))


def figures(size, value, milliseconds, **more):
    taken = Latency(milliseconds, 0.5 * milliseconds, 2 * milliseconds, texts=100, threads=1)
    return Figures(size, {"heldout": {"accuracy": rate(value)}}, taken, **more)


FORMS = {
    "pytorch": figures(10.41, 0.8154, 3.43, max_error=0.0),
    "onnx": figures(10.52, 0.8154, 0.531, max_error=3.2e-6),
    "int8": figures(
        2.71,
        0.8142,
        0.352,
        robust={"robust_worst": rate(0.16), "clean_on_attacked": rate(0.83)},
        against=Against(872, 7, 1.0, 0.42),
    ),
    "teacher": figures(437.9, 0.9243, 48.1),
}


def claim(first, second, difference, p, verdict, measure="accuracy"):
    interval = {"low": difference - 0.01, "high": difference + 0.01}
    told = {"measure": measure, "first": first, "second": second, "difference": difference}
    return {**told, "interval": interval, "adjusted": p, "verdict": verdict}


def confirmed(form, name, mean, robust, *, on_front=True, params=PARAMS):
    def seeds(value, found):
        interval = {"low": value - 0.02, "high": value + 0.02}
        return {"mean": value, "sd": 0.0041, "interval": interval, "found": found}

    return {
        **{"name": name, "role": "front", "form": form, "trial": 19, "params": params},
        **{"objectives": {}, "latency": None, "on_front": on_front, "front_probability": 0.9},
        "heldout": {"accuracy": seeds(mean, 0.8154), "robust_worst": seeds(robust, 0.12)},
    }


def confirmation(params=PARAMS):
    """confirm.json of trial 19 and its int8."""
    intervals = {name: {"low": v - 0.02, "high": v + 0.02} for name, v in TAUGHT.items()}
    return {
        **{"schema": 2, "seeds": 5, "rows": 872, "attacked_rows": 872, "metric": "accuracy"},
        **{"teacher": TAUGHT, "teacher_intervals": intervals, "latency": None},
        "models": [
            confirmed("pytorch", "trial 19", 0.8102, 0.1105, on_front=False, params=params),
            confirmed("int8", "trial 19, ONNX int8", 0.8096, 0.1101, params=params),
        ],
        "claims": [
            claim("trial 19", "teacher", -0.1141, 0.004, "WORSE"),
            claim("trial 19", "teacher", -0.0895, 0.004, "WORSE", "robust_worst"),
            claim("trial 20", "trial 19", 0.0102, 0.31, "INCONCLUSIVE"),
            claim("trial 19, ONNX int8", "trial 19", -0.0006, 1.0, "INCONCLUSIVE"),
        ],
    }


TAUGHT = {"accuracy": 0.9243, "robust_worst": 0.2}


def source(folder):
    place = StudyFolder(folder / "sst2")
    place.trial(19).mkdir(parents=True)
    place.study.write_text(dump(DOCUMENT))
    place.write_teacher(outcome(0.93, 437.9, 0.24))
    table = {"identity": ["char-lax/30 #92f7", "pruthi-lax/30 #0c1d"], "row": [4, 4]}
    table["outcome"] = ["robust", "flipped"]
    pq.write_table(pa.table(table), place.trial(19) / "attacks.parquet")
    place.write(TrialRecord(19, "complete", PARAMS, outcome(0.826, 10.4, 0.17)))
    place.write(TrialRecord(20, "complete", PARAMS, outcome(0.9, 20.0, 0.1)))
    return Source.of(place, DOCUMENT)


def made(folder, shown, told=None):
    found = source(folder)
    if told is not None:
        (found.folder.path / "confirm.json").write_text(json.dumps(told))
    return card(found, found.records[0], shown)


SHOWN = Shown(
    figures=FORMS,
    heldout={"heldout": 872},
    machine="AMD EPYC, 2 cores, Linux x86_64",
    pictured=True,
)


def test_the_card_is_the_golden_one(tmp_path):
    assert made(tmp_path, SHOWN, confirmation()) == GOLDEN.read_text(encoding="utf-8")


def test_a_card_says_nothing_of_fresh_seeds_where_none_tried_this_student(tmp_path):
    plain = made(tmp_path / "plain", SHOWN)
    assert "fresh seeds" not in plain
    assert "One training: another seed gives other figures." in plain
    another = confirmation({**PARAMS, "student.hidden_size": 312})  # of an earlier search
    assert made(tmp_path / "other", SHOWN, another) == plain


def test_a_confirmation_of_an_earlier_version_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"schema 1, this version reads 2; run confirm again"):
        made(tmp_path, SHOWN, {**confirmation(), "schema": 1})


def test_what_the_hub_reads_is_the_students_own_figure_with_that_of_fresh_seeds_beside_it(tmp_path):
    found = source(tmp_path)
    (found.folder.path / "confirm.json").write_text(json.dumps(confirmation()))
    for shown in (SHOWN, Shown()):  # measured at export, or read by confirm: the same student
        told = eval_results(found, found.records[0], shown)
        (entry,) = parse_eval_result_entries(yaml.safe_load(told))
        assert entry.value == 0.8154
        assert entry.notes == (
            "accuracy on the validation split; 0.8102 \u00b1 0.0041 over 5 fresh seeds"
        )
    (result,) = ModelCard(card(found, found.records[0], Shown())).data.eval_results
    assert (result.dataset_split, result.metric_value) == ("validation", 0.8154)


def test_the_hub_reads_its_metadata(tmp_path):
    data = ModelCard(made(tmp_path, SHOWN)).data
    assert data.base_model == ["google-bert/bert-base-uncased"]
    assert (data.datasets, data.metrics) == (["nyu-mll/glue"], ["accuracy"])
    (result,) = data.eval_results
    assert (result.dataset_type, result.dataset_config) == ("nyu-mll/glue", "sst2")
    assert (result.metric_type, result.metric_value) == ("accuracy", 0.8154)


def test_what_the_hub_reads_of_its_scores_is_the_held_out_one(tmp_path):
    found = source(tmp_path)
    (entry,) = parse_eval_result_entries(
        yaml.safe_load(eval_results(found, found.records[0], SHOWN))
    )
    assert (entry.dataset_id, entry.task_id, entry.value) == ("nyu-mll/glue", "sst2", 0.8154)
    assert eval_results(found, found.records[0], Shown()) == ""


def test_a_card_without_figures_says_what_the_search_measured_and_no_more(tmp_path):
    text = made(tmp_path, Shown())
    assert "## How good" not in text
    assert "onnxruntime" not in text
    assert "front.png" not in text
    assert "| accuracy | 0.8260 | 0.8060 to 0.8460 | 0.9300 | 0.9100 to 0.9500 |" in text
    assert ModelCard(text).data.eval_results[0].dataset_split == "search (held out of train)"


@pytest.mark.parametrize(
    ("teacher", "named", "base"),
    [
        ({"model": "/data/secret/bert-sst2"}, "from `bert-sst2` on", None),
        ({"model": "me/bert-sst2"}, "from `me/bert-sst2` on", ["me/bert-sst2"]),
        ({"builtin": "small"}, "from the built-in small BERT on", None),
    ],
)
def test_a_teacher_on_a_disk_is_named_without_its_path(tmp_path, teacher, named, base):
    found = source(tmp_path)
    document = json.loads(json.dumps(DOCUMENT | {"teacher": teacher}))
    text = card(Source.of(found.folder, document), found.records[0], Shown())
    assert named in text
    assert ModelCard(text).data.base_model == base
    assert "secret" not in text


@pytest.mark.parametrize(
    ("task", "line"),
    [
        ({"dataset": "glue/rte"}, 'classify({"text": "The first sentence.", "text_pair": '),
        ({"files": {"train": "a", "validation": "b"}, "text": "s"}, 'classify("A text to '),
        (
            {"files": {"train": "a", "validation": "b"}, "text": ["s", "t"]},
            'tokenizer(["The first sentence."], ["The second sentence."], padding=True',
        ),
    ],
)
def test_the_lines_to_copy_take_what_the_task_has(tmp_path, task, line):
    found = source(tmp_path)
    document = json.loads(json.dumps(DOCUMENT | {"task": task}))
    assert line in card(Source.of(found.folder, document), found.records[0], SHOWN)


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        GOLDEN.write_text(made(Path(name), SHOWN, confirmation()), encoding="utf-8")
