"""A study's resources: asked for before anything starts, copied, part of every identity."""

from __future__ import annotations

import copy
import json
import random

import numpy as np
import pytest
import yaml
from transformers import BertConfig, BertForMaskedLM

from tests import tiny
from tune_distill import trial
from tune_distill.errors import DataError, SpecError
from tune_distill.measure.attack_rows import FILE, read_rows, write_rows
from tune_distill.measure.robustness import robustness
from tune_distill.outcome import Outcome
from tune_distill.prepare import load_task
from tune_distill.prepare import prepare as prepare_study
from tune_distill.robustness import ATTACKS
from tune_distill.robustness.masked import whole_words
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.resources import (
    Resources,
    attacks,
    check,
    digests,
    prepare,
    with_static,
)
from tune_distill.robustness.table import Table
from tune_distill.space import at_random
from tune_distill.spec import resolve
from tune_distill.teacher import load, load_tokenizer

STUDY = yaml.safe_load("""
name: attacked
task: {files: {train: train.csv, validation: validation.csv}, text: sentence, max_length: 32}
teacher: {model: teacher}
space:
  student: {layers: 1, hidden_size: 16, heads: 4}
  method: {finetune: {}}
  train: {learning_rate: 1.0e-3, epochs: 1}
objectives: {robust_worst: {goal: max, reference: 0.0}}
""")
NEAR = {"lovely": ["superb", "dull"], "dull": ["awful", "lovely"], "film": ["plot"]}


def study(**robustness):
    return resolve({**copy.deepcopy(STUDY), "robustness": robustness})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A task, a teacher of it, a masked model in its tokens, and a list of neighbours."""
    folder = tmp_path_factory.mktemp("resources")
    tiny.write_task(folder)
    tiny.write_teacher(folder / "teacher")
    tokenizer = load_tokenizer(folder / "teacher")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=16, **shape)
    BertForMaskedLM(config).save_pretrained(folder / "masked")
    tokenizer.save_pretrained(folder / "masked")
    (folder / "near.json").write_text(json.dumps(NEAR))
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def test_what_is_missing_is_said_before_anything_starts(here):
    spec = study(attacks=["char", "table", "textbugger", "wordnet", "bae"])
    with pytest.raises(SpecError) as raised:
        load_task(spec, print)
    table, synonyms, masked = raised.value.problems
    assert table.startswith("robustness.resources.table: missing; table and textbugger need ")
    assert "tune-distill resources build" in table
    assert synonyms.startswith("robustness.resources.wordnet: missing; wordnet needs")
    assert masked.startswith("robustness.resources.masked_lm: missing; bae needs")


def test_a_file_that_is_not_there_is_refused(here):
    spec = study(attacks=["table"], resources={"table": "nowhere.parquet"})
    with pytest.raises(SpecError, match=r"resources\.table: nowhere\.parquet does not exist"):
        check(spec)


def test_attacks_that_nothing_asks_for_need_nothing(here):
    document = {**STUDY, "robustness": {"attacks": ["table"]}}
    document["objectives"] = {"accuracy": {"goal": "max", "reference": 0.5}}
    spec = resolve(document)
    check(spec)
    assert prepare(spec, here / "cache", print) == Resources()


def test_the_built_in_corpus_brings_its_own_table(tmp_path):
    document = {**STUDY, "task": {"builtin": "reviews"}, "robustness": {"attacks": ["table"]}}
    found = prepare(resolve(document), tmp_path, print)
    assert found.table is not None
    table = found.open().table
    assert table.near("superb") == ["excellent", "outstanding", "magnificent", "splendid"]


def test_a_search_outlives_a_change_of_the_original(here, tmp_path):
    original = tmp_path / "near.json"
    original.write_text(json.dumps(NEAR))
    spec = study(attacks=["table"], resources={"table": str(original)})
    said = []
    found = prepare(spec, tmp_path / "cache", said.append)
    assert said == ["table: 3 words with 5 neighbours"]
    original.write_text(json.dumps({"film": ["soup"]}))
    assert found.open().table.near("film") == ["plot"]
    changed = prepare(spec, tmp_path / "cache", print)
    assert changed.table != found.table
    assert changed.open().table.near("film") == ["soup"]
    original.unlink()
    assert found.open().table.near("film") == ["plot"]


def test_a_resource_is_part_of_the_attacks_identity(here, tmp_path):
    spec = study(attacks=["char", "table"], resources={"table": "near.json"}, profile="strict")
    found = prepare(spec, tmp_path / "cache", print)
    char, table = (found.open().bound(one) for one in attacks(spec.robustness))
    assert char.resource == ""
    assert table.resource == f"table:{found.open().table.digest}"
    assert digests(spec, found) == [("attack.char", char.shown), ("attack.table", table.shown)]
    assert table.shown.startswith("table-strict/30 #")
    other = Opened(table=Table.of({"film": [("plot", 0.5)]}))
    assert other.bound(ATTACKS["table"]).digest != found.open().bound(ATTACKS["table"]).digest


def test_a_studys_profile_order_and_budget_are_its_attacks(here):
    spec = study(attacks=["pruthi"], profile="strict", order="unk", budget=7)
    (made,) = attacks(spec.robustness)
    assert (made.profile, made.order, made.budget) == ("strict", "unk", 7)
    assert made.min_word_length == 4


def test_a_masked_model_is_copied_and_asked_for_whole_words(here, tmp_path):
    spec = study(attacks=["bae"], resources={"masked_lm": "masked"})
    found = prepare(spec, tmp_path / "cache", print)
    assert found.masked_lm is not None
    assert found.masked_lm.parent == tmp_path / "cache" / "resources"
    masked = found.open().masked_lm
    alone = masked.expected(["the [MASK] was lovely"], 10)
    both = masked.expected(["a [MASK]", "the [MASK] was lovely", "a [MASK]", "no mask"], 10)
    assert both[1] == alone[0]
    assert both[0] == both[2]
    assert both[3] == []
    assert set(alone[0]) <= set(whole_words(masked.tokenizer).values())


def test_a_mask_that_truncation_cuts_off_has_no_candidates(here, tmp_path):
    spec = study(attacks=["bae"], resources={"masked_lm": "masked"})
    masked = prepare(spec, tmp_path / "cache", print).open().masked_lm
    long = "film " * masked.max_length
    assert masked.expected([f"{long}[MASK]", f"[MASK] {long}"], 20)[0] == []
    assert len(masked.expected([f"[MASK] {long}"], 200)[0]) > 5


class Vocabulary:
    """A tokenizer's vocabulary: all that is asked of it."""

    all_special_ids = (0,)

    def __init__(self, *tokens):
        self.tokens = tokens

    def get_vocab(self):
        return {token: number for number, token in enumerate(self.tokens)}


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("[CLS]", "film", "##s", "3", "été", "un-"), {1: "film", 4: "été"}),
        (("<s>", "Ġfilm", "s", "Ġ3", "ĠÃ©tÃ©", "ĠA"), {1: "film", 5: "A"}),
        (("<s>", "▁film", "s", "▁", "▁été"), {1: "film", 4: "été"}),
    ],
)
def test_whole_words_are_found_in_every_kind_of_vocabulary(tokens, words):
    assert whole_words(Vocabulary(*tokens)) == words


def test_a_classifier_is_no_masked_model(here, tmp_path):
    spec = study(attacks=["bae"], resources={"masked_lm": "teacher"})
    with pytest.raises(Exception, match=r"not a masked language model"):
        prepare(spec, tmp_path / "cache", print)


def test_pieces_and_special_tokens_are_no_words(here):
    words = set(whole_words(load_tokenizer(here / "teacher")).values())
    assert {"film", "lovely", "a"} <= words
    assert not any(word.startswith(("##", "[")) for word in words)


def test_an_attack_without_its_resource_or_with_another_is_refused(here):
    model, tokenizer = load(here / "teacher"), load_tokenizer(here / "teacher")
    rows = (["a lovely film"],), np.array([1])
    with pytest.raises(DataError, match="needs the resource table"):
        robustness(model, tokenizer, *rows, [ATTACKS["table"]], max_length=32)


def test_a_trial_keeps_each_attacks_rate_and_what_became_of_each_row(here, tmp_path):
    spec = study(attacks=["char", "table"], resources={"table": "near.json"}, rows=20, budget=10)
    inputs = prepare_study(spec, tmp_path / "cache", lambda line: None)
    params = {**spec.search_space.draw(at_random(random.Random(0))), "train.seed": 1}
    trial_folder = tmp_path / "trial"
    trial_folder.mkdir()
    outcome = trial.run(spec, params, inputs, trial_folder, lambda rung: None)
    rows = read_rows(trial_folder / FILE)
    assert [shown for key, shown in inputs.digests if key.startswith("attack.")] == list(rows)
    char, table = rows.values()
    assert outcome.rates == {"char": char.mean(), "table": table.mean()}
    assert outcome.robust_worst == (char & table).mean()
    assert {"robust_char", "robust_table", "robust_worst"} <= set(outcome.intervals)
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome
    # The teacher was attacked on the same rows, so the two can be paired.
    (kept,) = (inputs.teacher / "outcomes").glob("*.parquet")
    assert {name: len(own) for name, own in read_rows(kept).items()} == dict.fromkeys(rows, 20)


STATIC = {"robustness": {"rows": "fooled.jsonl"}}


def test_static_rows_are_no_objective(here):
    with pytest.raises(SpecError, match=r"objectives\.robust_worst: .*robust_static"):
        resolve({**STUDY, **STATIC})


def test_static_rows_are_scored_as_they_are_and_reported(here, tmp_path):
    rows = [
        {"sentence": "a lovely film", "label": "Positive"},
        {"sentence": "a dull film", "label": "negative"},
        {"sentence": "a warm room", "label": "negative"},  # wrong, for this teacher
        {"sentence": "a cold soup", "label": "negative"},
    ]
    (here / "fooled.jsonl").write_text("\n".join(map(json.dumps, rows)))
    goal = {"goal": "max", "reference": 0.5}
    spec = resolve({**STUDY, **STATIC, "objectives": {"accuracy": goal}})
    inputs = prepare_study(spec, tmp_path / "cache", lambda line: None)
    (here / "fooled.jsonl").unlink()
    assert inputs.resources.static is not None
    assert inputs.outcome.rates == {"static": 0.75}
    assert inputs.outcome.measures()["robust_static"] == 0.75
    # Wilson: 3 of 4
    assert inputs.outcome.intervals["robust_static"].low == pytest.approx(0.3006, abs=1e-4)
    assert inputs.outcome.robust_worst is None


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (None, r"robustness\.rows: fooled\.jsonl is no file"),
        ([{"sentence": "a film", "label": "neutral"}], "'neutral'.*out of range"),
        ([{"text": "a film", "label": 1}], "no column 'sentence'"),
    ],
)
def test_static_rows_that_do_not_fit_are_refused(here, tmp_path, rows, words):
    if rows is not None:
        (here / "fooled.jsonl").write_text("\n".join(map(json.dumps, rows)))
    goal = {"goal": "max", "reference": 0.5}
    spec = resolve({**STUDY, **STATIC, "objectives": {"accuracy": goal}})
    try:
        with pytest.raises((SpecError, DataError), match=words):
            with_static(
                prepare(spec, tmp_path, print), spec, ["negative", "positive"], tmp_path, print
            )
    finally:
        (here / "fooled.jsonl").unlink(missing_ok=True)


def test_what_became_of_each_row_is_filed_and_read_back(here, tmp_path):
    model, tokenizer = load(here / "teacher"), load_tokenizer(here / "teacher")
    texts = ["the lovely film", "a dull plot", "the warm room", "a cold soup"]
    labels = np.array([1, 0, 0, 0])  # the third is wrong
    recipes = [ATTACKS["char"], ATTACKS["table"]]
    resources = Opened(table=Table.of({w: [(n, np.nan) for n in near] for w, near in NEAR.items()}))
    found = robustness(
        model, tokenizer, (texts,), labels, recipes, max_length=32, resources=resources
    )
    write_rows(found, np.array([3, 5, 8, 9]), tmp_path / "attacks.parquet")
    read = read_rows(tmp_path / "attacks.parquet")
    assert list(read) == [one.recipe.shown for one in found.attacks.values()]
    for one in found.attacks.values():
        assert read[one.recipe.shown].mean() == one.robust.value
    # Both swapped words have a neighbour of the other side; a swap for it flips.
    assert read[found.attacks["table"].recipe.shown].tolist() == [False, False, False, True]
    with pytest.raises(DataError, match=r"none\.parquet"):
        read_rows(tmp_path / "none.parquet")
