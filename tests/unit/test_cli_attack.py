"""`tune-distill attack` and `resources build`, as a user calls them."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
import yaml
from transformers import AutoModelForSequenceClassification, pipeline
from typer.testing import CliRunner

from tests import tiny
from tune_distill.cli import app
from tune_distill.cli.attack_page import page
from tune_distill.cli.attacked import warnings
from tune_distill.errors import DataError, SpecError

NEAR = {"lovely": ["superb", "dull"], "dull": ["awful", "lovely"], "warm": ["cold"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attack")
    tiny.write_task(folder)
    tiny.write_teacher(folder / "teacher")
    (folder / "near.json").write_text(json.dumps(NEAR))
    study = {
        "name": "attacked",
        "task": {
            "files": {"train": "train.csv", "validation": "validation.csv"},
            "text": "sentence",
            "max_length": 32,
        },
        "teacher": {"model": "teacher"},
        "space": {
            "student": {"layers": 1, "hidden_size": 16, "heads": 4},
            "method": {"finetune": {}},
            "train": {"learning_rate": 1.0e-3, "epochs": 1},
        },
        "objectives": {"robust_worst": {"goal": "max", "reference": 0.0}},
        "robustness": {"attacks": ["table"], "resources": {"table": "near.json"}},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder


@pytest.fixture
def run(folder, monkeypatch):
    monkeypatch.chdir(folder)

    def called(*arguments):
        result = CliRunner().invoke(app, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return called


FILE = ("attack", "teacher", "--rows", "validation.csv", "--text", "sentence")


def test_rows_of_a_file_are_attacked_and_kept(run, folder, tmp_path):
    saved, shown = tmp_path / "adversarial.parquet", tmp_path / "page.html"
    table = ("--recipe", "char", "--recipe", "table", "--table", "near.json")
    out = run(*FILE, *table, "--save", str(saved), "--html", str(shown), "--json")
    data = json.loads(out.stdout)
    assert data["n"] == 60
    assert data["clean"]["value"] > 0.9
    char, near = data["attacks"]
    assert near["attack"].startswith("table-lax/30 #")
    assert near["robust"]["value"] < data["clean"]["value"]
    assert data["robust_worst"]["value"] <= min(char["robust"]["value"], near["robust"]["value"])
    rows = pq.read_table(saved).to_pylist()
    assert len(rows) == len(char["flipped"]) + len(near["flipped"]) > 10
    assert set(rows[0]) == {"sentence", "label", "clean_sentence", "row", "attack"}
    classify = pipeline("text-classification", str(folder / "teacher"))
    for row in rows[:10]:
        assert classify(row["sentence"])[0]["label"] != ["negative", "positive"][row["label"]]
        assert classify(row["clean_sentence"])[0]["label"] == ["negative", "positive"][row["label"]]
    assert shown.read_text() == page(data)


def test_the_saved_rows_are_rows_to_attack_again(run, tmp_path):
    saved = tmp_path / "adversarial.parquet"
    run(*FILE, "--recipe", "char", "--save", str(saved))
    again = ("--rows", str(saved), "--text", "sentence", "--json")
    data = json.loads(run("attack", "teacher", *again).stdout)
    assert data["clean"]["value"] == 0.0  # each of them fooled this very model
    assert data["attacks"][0]["success"] is None


def test_the_table_names_attacks_rates_and_changed_words(run):
    out = run(*FILE, "--recipe", "table", "--table", "near.json", "--examples", "2").stdout
    assert "teacher on 60 rows of validation.csv" in out
    assert "robust accuracy" in out
    assert "table-lax/30 #" in out
    assert out.count(", row ") == 2
    assert "lovely dull" in out or "dull lovely" in out or "warm cold" in out


def test_a_study_gives_its_rows_and_its_resources(run):
    data = json.loads(
        run("attack", "teacher", "--study", "study.yaml", "--recipe", "table", "--json").stdout
    )
    assert "search split" in data["rows"]
    heldout = run(
        *(
            "attack",
            "teacher",
            "--task",
            "study.yaml",
            "--split",
            "heldout",
            "--limit",
            "9",
            "--json",
        )
    )
    assert json.loads(heldout.stdout)["n"] == 9
    assert "search split is for choosing" in heldout.stderr


def test_the_budget_zero_is_none_and_the_profile_is_shown(run):
    more = ("--budget", "0", "--profile", "strict", "--order", "delete", "--json")
    (one,) = json.loads(run(*FILE, *more).stdout)["attacks"]
    assert one["attack"].startswith("char-strict/all #")
    settings = json.loads(one["settings"])
    assert settings["budget"] is None
    assert settings["order"] == "delete"
    assert settings["max_words"] == 2


def test_a_model_at_chance_is_flagged(run, folder, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(folder / "teacher")
    model.classifier.weight.data.zero_()
    model.save_pretrained(tmp_path / "blind")
    for file in (folder / "teacher").glob("tokenizer*"):
        (tmp_path / "blind" / file.name).write_bytes(file.read_bytes())
    arguments = ("attack", str(tmp_path / "blind"), *FILE[2:])
    assert json.loads(run(*arguments, "--json").stdout)["at_chance"]
    assert "no better than always" in run(*arguments).stdout
    assert not json.loads(run(*FILE, "--json").stdout)["at_chance"]


def test_a_gradient_is_checked_against_leaving_words_out(run):
    assert json.loads(run(*FILE, "--json").stdout)["masked"] is None
    assert json.loads(run(*FILE, "--check-gradient", "--json").stdout)["masked"] == []


def test_a_masked_gradient_is_said():
    (line,) = warnings({"at_chance": False, "masked": ["char", "table"]})
    assert "misleads char and table" in line


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("attack", "teacher"), SpecError, "either --study STUDY or --rows FILE"),
        ((*FILE, "--recipe", "tabel"), SpecError, r"--recipe tabel.*did you mean table"),
        ((*FILE, "--profile", "tight"), SpecError, "there are lax, strict"),
        ((*FILE, "--order", "first"), SpecError, "order: 'first'"),
        ((*FILE, "--recipe", "table"), DataError, "--table: missing; this attack needs"),
        ((*FILE, "--label", "lable"), DataError, "did you mean label"),
        ((*FILE[:-1], "label", "--label", "sentence"), DataError, "out of range"),
        (
            ("attack", "teacher", "--study", "study.yaml", "--split", "tset"),
            DataError,
            "has train, search, heldout",
        ),
    ],
)
def test_mistakes_are_named(run, arguments, error, words):
    with pytest.raises(error, match=words):
        run(*arguments)


def test_markup_in_a_text_stays_text():
    flipped = {
        **{"row": 1, "label": 0, "class": "<b>", "clean": ["<i>", "x"], "queries": 2, "side": 1},
        "parts": [["<", "one", "<two>"], [" & ", "", ""]],
    }
    rate = {"value": 0.5, "interval": [0.1, 0.9], "n": 2}
    one = {
        "attack": "a",
        "robust": rate,
        "success": None,
        "mean_queries": 1.0,
        "words_changed": 0.5,
    }
    data = {
        "model": "<m>",
        "n": 2,
        "rows": "r",
        "clean": rate,
        "at_chance": False,
        "majority": 0.5,
        "masked": None,
    }
    made = page({**data, "robust_worst": rate, "attacks": [{**one, "flipped": [flipped]}]})
    assert "&lt;<del>one</del> <ins>&lt;two&gt;</ins> &amp; " in made
    assert "<p class=other>&lt;i&gt;</p>" in made
    assert "<m>" not in made


def test_a_table_is_built_once_and_read_by_an_attack(run, tmp_path):
    table = tmp_path / "near.parquet"
    out = run("resources", "build", "near.json", str(table))
    assert out.stdout.strip() == str(table)
    assert "3 words with 5 neighbours" in out.stderr
    built, listed = (
        json.loads(run(*FILE, "--recipe", "table", "--table", source, "--json").stdout)
        for source in (str(table), "near.json")
    )
    assert built["attacks"] == listed["attacks"]
    with pytest.raises(DataError, match="exists already"):
        run("resources", "build", "near.json", str(table))
    with pytest.raises(DataError, match=r"a \.parquet file"):
        run("resources", "build", "near.json", str(tmp_path / "near.json"))
    with pytest.raises(DataError, match="--antonyms"):
        run("resources", "build", "near.json", str(tmp_path / "b.parquet"), "--antonyms", ".")
