"""Studies: from YAML, every mistake at once, with its path."""

from __future__ import annotations

import random

import pytest
import yaml

from tune_distill.errors import SpecError
from tune_distill.methods import METHODS
from tune_distill.space import at_random
from tune_distill.spec import TrialConfig, dump, enqueue, load, read, resolve
from tune_distill.spec.load import find, override, parse, shipped
from tune_distill.spec.space import as_yaml

GOOD = yaml.safe_load("""
name: good
task: {builtin: reviews}
teacher: {builtin: small}
space:
  student: {layers: {int: [1, 3]}, hidden_size: [64, 96], heads: [2, 4]}
  method: {finetune: {}, kd: {temperature: {log: [1.0, 10.0]}}}
  train: {learning_rate: {log: [1.0e-4, 1.0e-3]}, epochs: 2}
objectives: {accuracy: {goal: max, reference: 0.5}, size_mb: {goal: min, reference: 20.0}}
""")


def edited(path, value):
    """GOOD with one key set."""
    return override(GOOD, [f"{path}={yaml.safe_dump(value, default_flow_style=True)}"])


def test_a_good_study_is_read_and_its_draws_are_trials():
    study = resolve(GOOD)
    draw = study.search_space.draw(at_random(random.Random(0)))
    config = TrialConfig.from_params(draw)

    assert config.student.hidden_size % config.student.heads == 0
    assert config.train.epochs == 2
    assert config.method.name in METHODS
    assert [o.name for o in study.axes] == ["accuracy", "size_mb"]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("nme", 1, "nme: unknown key; a study takes name,"),
        ("name", "a b", "name: String should match pattern"),
        ("task", {"builtin": "reviews", "dataset": "glue/sst2"}, "task: give exactly one of"),
        ("task", {"files": {"train": "a.csv", "validation": "b.csv"}}, "task: files needs text"),
        ("task.max_lenght", 64, "(did you mean max_length?)"),
        ("teacher", {}, "teacher: give exactly one of model, fit, builtin; got none"),
        ("space.student.layers", 0, "space.student.layers: 0 will not do: it should be greater"),
        ("space.student.hidden_size", [64, 95.5], "space.student.hidden_size: 95.5 will not do"),
        ("space.student.heads", [5], "none of [5] divides hidden_size 64"),
        (
            "space.student.haeds",
            2,
            "space.student.haeds: unknown knob; student takes family, layers,",
        ),
        ("space.method", {}, "space.method: name at least one method of finetune, kd"),
        (
            "space.method.kd.temperatur",
            1.0,
            "space.method.kd.temperatur: unknown knob; kd takes temperature, alpha, match "
            "(did you mean temperature?)",
        ),
        (
            "space.method.kdd",
            {},
            "space.method.kdd: unknown method; space.method takes finetune, kd",
        ),
        (
            "space.method.kd.alpha",
            {"uniform": [0.5, 1.5]},
            "space.method.kd.alpha: 1.5 will not do: it should be less than or equal to 1",
        ),
        ("space.robust", {}, "space.robust: name at least one defence of none, random_char"),
        (
            "space.robust.freelbb",
            {},
            "space.robust.freelbb: unknown defence; space.robust takes none, random_char,",
        ),
        ("space.robust.pgd.stage", "before", "space.robust.pgd.stage: 'before' will not do"),
        ("space.robust.vat.steps", [0, 1], "space.robust.vat.steps: 0 will not do"),
        ("space.train.learning_rate", "2e-5", "a float needs a point, as in 2.0e-5"),
        ("space.train.epochs", {"log": [1.0, 3.0]}, "space.train.epochs: 1.0 will not do"),
        ("objectives", {}, "objectives: name at least one of accuracy,"),
        (
            "objectives.acuracy",
            {"goal": "max", "reference": 0},
            "objectives.acuracy: unknown measure; a trial has accuracy,",
        ),
        (
            "objectives.accuracy.goal",
            "up",
            "objectives.accuracy.goal: Input should be 'max' or 'min'",
        ),
        ("search.trials", 0, "search.trials: Input should be greater than 0, got 0"),
        (
            "search.sampler",
            "tpee",
            "search.sampler: Input should be 'tpe', 'ehvi', 'nsga2', 'nsga3', 'gp'",
        ),
        (
            "robustness.attacks",
            ["tabel"],
            "robustness.attacks.0: unknown attack; there are char, pruthi, table, wordnet, bae,"
            " textbugger (did you mean table?)",
        ),
        ("robustness.rows", 0, "robustness.rows: a number of rows, 1 or more, or a file of rows"),
        ("robustness.attacks", ["char", "char"], "robustness.attacks: name at least one of char,"),
    ],
)
def test_each_mistake_is_named_with_its_path(path, value, line):
    document = {**GOOD, path: value} if "." not in path else edited(path, value)
    with pytest.raises(SpecError) as caught:
        resolve(document)
    assert any(line in problem for problem in caught.value.problems), str(caught.value)
    assert len(caught.value.problems) == 1, "one mistake makes one line"


def test_all_mistakes_are_listed_at_once():
    bad = override(
        GOOD,
        ["nme=1", "search.trials=-1", "space.student.layers=0", "space.method.kd.alpha=2.0"],
    )
    bad["objectives"] = {"acuracy": {"goal": "max", "reference": 0.0}}
    with pytest.raises(SpecError) as caught:
        resolve(bad)
    starts = {problem.split(":")[0] for problem in caught.value.problems}
    assert starts == {
        "nme",
        "search.trials",
        "space.student.layers",
        "space.method.kd.alpha",
        "objectives.acuracy",
    }


def test_missing_sections_are_named():
    with pytest.raises(SpecError) as caught:
        resolve({"name": "x"})
    assert set(caught.value.problems) == {
        f"{section}: missing" for section in ("task", "teacher", "space", "objectives")
    }


def test_an_override_is_read_as_yaml_and_leaves_the_document_alone():
    assert override({"a": {"b": 1}}, ["a.c=[1, 2]", "d.e=true"]) == {
        "a": {"b": 1, "c": [1, 2]},
        "d": {"e": True},
    }
    with pytest.raises(SpecError, match="path=value"):
        override({}, ["search.trials"])
    with pytest.raises(SpecError, match="has no key 'c'"):
        override({"a": 1}, ["a.c=2"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b", "a study is a mapping"),
        ("a: [1", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_study_is_refused_and_never_run(text, words):
    with pytest.raises(SpecError, match=words):
        parse(text, "x.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"no\.yaml: cannot be read"):
        load(tmp_path / "no.yaml")
    with pytest.raises(SpecError, match=r"did you mean quickstart\?"):
        find("quickstrat")


def test_method_names_alone_are_enough():
    names = {"student": {**GOOD["space"]["student"]}, "method": ["kd"], "train": {}}
    study = resolve({**GOOD, "space": names})
    assert study.search_space.draw(at_random(random.Random(0)))["method"] == "kd"


def test_a_draw_written_as_a_study_draws_itself():
    study = resolve(GOOD)
    for seed in range(20):
        draw = study.search_space.draw(at_random(random.Random(seed))) | {"train.seed": seed}
        again = resolve({**GOOD, "space": as_yaml(draw)})
        fixed = again.search_space.draw(at_random(random.Random(99)))
        assert fixed == draw


def test_a_defence_is_a_branch_and_its_draws_are_written_as_studies():
    robust = {"none": {}, "freelb": {"steps": 2, "stage": ["during", "after"]}, "random_char": {}}
    study = resolve({**GOOD, "space": {**GOOD["space"], "robust": robust}})
    seen = set()
    for seed in range(30):
        draw = study.search_space.draw(at_random(random.Random(seed))) | {"train.seed": seed}
        again = resolve({**GOOD, "space": as_yaml(draw)})
        assert again.search_space.draw(at_random(random.Random(99))) == draw
        defence = TrialConfig.from_params(draw).robust
        assert (defence.name if defence else "none") == draw["robust"]
        seen.add((draw["robust"], defence and defence.stage))
        if draw["robust"] == "freelb":
            assert draw["robust.freelb.steps"] == defence.steps == 2
    assert seen == {
        ("none", None),
        ("freelb", "during"),
        ("freelb", "after"),
        ("random_char", "during"),
    }


@pytest.mark.parametrize("robust", ["freelb", ["freelb"], {"freelb": None}])
def test_defence_names_alone_are_enough_and_none_is_the_default(robust):
    study = resolve({**GOOD, "space": {**GOOD["space"], "robust": robust}})
    assert study.search_space.draw(at_random(random.Random(0)))["robust"] == "freelb"
    plain = resolve(GOOD).search_space.draw(at_random(random.Random(0)))
    assert plain["robust"] == "none"
    del plain["robust"]  # as drawn before there were defences
    assert TrialConfig.from_params(plain).robust is None


@pytest.mark.parametrize(
    ("robust", "expected"),
    [("none", {}), ("freelb", {}), (["freelb", "none"], {"robust": "none"})],
)
def test_a_published_setting_is_tried_without_a_defence(robust, expected):
    # Where there is one option alone, nothing is drawn and nothing to be said.
    space = resolve({**GOOD, "space": {**GOOD["space"], "robust": robust}}).search_space
    said = enqueue.setting("kd:sst2", space)
    assert {name: value for name, value in said.items() if name.startswith("robust")} == expected


def test_a_document_survives_yaml(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(dump(GOOD))
    assert read(file) == GOOD


def test_every_shipped_study_loads_and_draws_trials():
    studies = shipped()
    assert len(studies) == 12, "the studies that are shipped were not found"
    for name, path in studies.items():
        study = load(path)
        assert study.name == name
        assert study.description, f"{name} says what it is for"
        for seed in range(20):
            TrialConfig.from_params(study.search_space.draw(at_random(random.Random(seed))))
