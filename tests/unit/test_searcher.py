"""The searcher without Ray: what is drawn, what is refused, what Optuna is told."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from tests.toy_study import asker, file, finish, spec_of
from tune_distill.errors import NoFeasibleStudent, SpecError
from tune_distill.folder import StudyFolder
from tune_distill.methods.published import PUBLISHED
from tune_distill.record import TrialRecord
from tune_distill.searcher import AskTell, open_study
from tune_distill.searcher.study import sampler
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig

FOUR = {"layers": [1, 2], "hidden_size": [16, 24], "heads": 2}  # a space of four students
SMALL = {"student": FOUR, "method": "finetune"}


def study_spec(space: dict[str, Any] | None = None, **search: Any) -> StudySpec:
    return spec_of({"space": space} if space else None, **search)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path)


def states(folder: StudyFolder, spec: StudySpec) -> list[str]:
    return [t.state.name for t in open_study(folder, spec).get_trials(deepcopy=False)]


def test_a_final_report_is_told_complete_with_the_values_of_the_objectives(folder):
    spec = study_spec()
    one = asker(folder, spec)
    draw = one.suggest("a")
    finish(one, "a", draw, accuracy=0.9, size_mb=7.0)
    (trial,) = one.study.get_trials()
    assert (trial.state, trial.values) == (TrialState.COMPLETE, [0.9, 7.0])
    assert one.study.metric_names == ["accuracy", "size_mb"]
    assert [d.name for d in one.study.directions] == ["MAXIMIZE", "MINIMIZE"]


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({"result": {"final": False, "epoch": 2, "accuracy": 0.9}}, "PRUNED"),  # stopped
        ({"result": None}, "PRUNED"),  # stopped before its first report
        ({"result": None, "error": True}, "FAIL"),  # its worker is lost
    ],
)
def test_an_end_without_a_final_report_is_filed_and_told(folder, how, state):
    spec = study_spec()
    ended: list[TrialRecord] = []
    one = asker(folder, spec, ended=ended.append)
    draw = one.suggest("a")
    one.on_trial_complete("a", **how)
    assert states(folder, spec) == [state]
    assert folder.read(0) == ended[0]
    assert ended[0].params == draw["params"]
    assert one.error is None


def test_a_trial_that_failed_by_itself_is_told_fail(folder):
    spec = study_spec()
    one = asker(folder, spec)
    draw = one.suggest("a")
    record = TrialRecord(0, "failed", draw["params"], reason="Diverged: NaN")
    one.on_trial_complete("a", {"final": False, "record": json.dumps(record.to_json())})
    assert states(folder, spec) == ["FAIL"]


def test_a_worker_lost_after_filing_its_record_has_finished(folder):
    spec = study_spec()
    one = asker(folder, spec)
    file(folder, one.suggest("a"))
    one.on_trial_complete("a", None, error=True)
    assert states(folder, spec) == ["COMPLETE"]


def test_a_trial_carries_its_params_and_one_seed(folder):
    spec = study_spec(seed=100)
    one = asker(folder, spec)
    draws = [one.suggest(name) for name in "abc"]
    assert [d["number"] for d in draws] == [0, 1, 2]
    assert [d["params"]["train.seed"] for d in draws] == [100, 101, 102]  # seed + number
    attributes = [t.user_attrs for t in one.study.get_trials()]
    assert [a["params"] for a in attributes] == [d["params"] for d in draws]
    assert [a["seed"] for a in attributes] == [100, 101, 102]


@pytest.mark.parametrize("kind", ["tpe", "nsga2", "random"])
def test_every_sampler_draws_legal_points_of_a_conditional_space(folder, kind):
    spec = study_spec(sampler=kind)
    one = asker(folder, spec)
    methods = set()
    for i in range(30):
        draw = one.suggest(str(i))
        params = draw["params"]
        methods.add(params["method"])
        assert params["student.hidden_size"] % params["student.heads"] == 0
        assert ("method.kd.temperature" in params) == (params["method"] == "kd")
        finish(one, str(i), draw, size_mb=float(params["student.layers"]))
    assert methods == {"finetune", "kd"}
    assert one.error is None


def test_infeasible_draws_start_no_trial_and_are_counted(folder):
    def wide(params: Params) -> list[str]:
        return ["too wide"] if params["student.hidden_size"] == 24 else []

    spec = study_spec(sampler="random")
    one = asker(folder, spec, infeasible=wide)
    draws = [one.suggest(str(i)) for i in range(10)]
    assert {d["params"]["student.hidden_size"] for d in draws} == {16}
    refused = [t for t in one.study.get_trials() if "infeasible" in t.user_attrs]
    assert {t.state for t in refused} == {TrialState.FAIL}
    assert {tuple(t.user_attrs["infeasible"]) for t in refused} == {("too wide",)}
    assert one.rejected["infeasible"] == len(refused) > 0
    assert len(one.study.get_trials()) == 10 + len(refused)
    assert asker(folder, spec).rejected == one.rejected  # a resumed search counts on


def test_a_space_without_a_feasible_student_says_why(folder):
    one = asker(folder, study_spec(), infeasible=lambda _: ["size_mb is 60, over 10"])
    assert one.suggest("a") == Searcher.FINISHED
    assert isinstance(one.error, NoFeasibleStudent)
    assert "size_mb is 60, over 10" in str(one.error)
    assert "RUNNING" not in states(folder, study_spec())


@pytest.mark.parametrize("kind", ["tpe", "nsga2", "random"])
def test_no_draw_is_run_twice_and_an_exhausted_space_ends_the_search(folder, kind):
    spec = study_spec(SMALL, sampler=kind)
    one = asker(folder, spec)
    seen = []
    while (draw := one.suggest(str(len(seen)))) != Searcher.FINISHED:
        finish(one, str(len(seen)), draw)
        seen.append((draw["params"]["student.layers"], draw["params"]["student.hidden_size"]))
    assert sorted(seen) == [(1, 16), (1, 24), (2, 16), (2, 24)]  # each of the four, once
    assert one.exhausted
    assert one.error is None
    assert one.rejected["duplicate"] > 0


def test_a_seed_in_the_space_makes_a_draw_of_its_own(folder):
    space = {**SMALL, "student": {**FOUR, "layers": 1, "hidden_size": 16}}
    one = asker(folder, study_spec({**space, "train": {"seed": [5, 6]}}))
    draws = [one.suggest("a"), one.suggest("b")]
    assert {d["params"]["train.seed"] for d in draws} == {5, 6}
    assert one.suggest("c") == Searcher.FINISHED


def run_some(one: AskTell, count: int) -> list[dict[str, Any]]:
    draws = []
    for i in range(count):
        draw = one.suggest(f"t{i}")
        finish(one, f"t{i}", draw, accuracy=0.5 + draw["params"]["student.layers"] / 20)
        draws.append(draw["params"])
    return draws


def test_the_same_study_is_drawn_the_same_and_a_resumed_one_does_not_repeat_itself(tmp_path):
    def interrupted(name: str) -> list[Params]:
        folder = StudyFolder(tmp_path / name)
        folder.path.mkdir()
        spec = study_spec(seed=3)
        first = run_some(asker(folder, spec), 6)
        return first + run_some(asker(folder, spec), 6)

    one, two = interrupted("one"), interrupted("two")
    assert one == two
    drawn = [{**params, "train.seed": None} for params in one]
    assert all(drawn.count(params) == 1 for params in drawn)


def test_the_samplers_seed_follows_from_the_studys_and_the_trials_so_far():
    def first(seed: int, trials: int) -> float:
        study = optuna.create_study(sampler=sampler(study_spec(seed=seed, sampler="tpe"), trials))
        return study.ask().suggest_float("x", 0, 1)

    assert first(0, 7) == first(0, 7)
    assert len({first(0, 0), first(0, 7), first(1, 0), first(1, 7)}) == 4


def test_a_killed_search_hands_its_orphans_out_again_under_their_own_numbers(folder):
    spec = study_spec()
    killed = asker(folder, spec)
    draws = [killed.suggest(name) for name in "abc"]
    finish(killed, "a", draws[0])
    file(folder, draws[1])  # ended, and the driver died before it could tell
    resumed = asker(folder, spec)
    assert states(folder, spec) == ["COMPLETE", "COMPLETE", "RUNNING"]
    again = resumed.suggest("x")
    assert again == draws[2]
    finish(resumed, "x", again)
    assert resumed.suggest("y")["number"] == 3
    assert states(folder, spec)[:3] == ["COMPLETE"] * 3


def test_a_draw_cut_short_is_failed_and_its_number_left_alone(folder):
    spec = study_spec()
    asker(folder, spec).study.ask()  # killed before the draw was whole
    resumed = asker(folder, spec)
    assert states(folder, spec) == ["FAIL"]
    assert resumed.suggest("a")["number"] == 1


def test_a_trial_whose_record_was_deleted_runs_again_once(folder):
    spec = study_spec()
    one = asker(folder, spec)
    draw = one.suggest("a")
    finish(one, "a", draw)
    (folder.trial(0) / "trial.json").unlink()
    again = asker(folder, spec).suggest("b")
    assert again["number"] == 1
    fresh = {k: v for k, v in again["params"].items() if k != "train.seed"}
    assert fresh == {k: v for k, v in draw["params"].items() if k != "train.seed"}
    file(folder, again)
    assert asker(folder, spec).suggest("c")["params"] != draw["params"]


@pytest.mark.parametrize(
    "torn", ['{"op_code":5,"trial', '{"op_code":4,"worker_id":"x","study_id":0}']
)
def test_a_torn_tail_of_the_journal_is_dropped(folder, torn):
    spec = study_spec()
    run_some(asker(folder, spec), 2)
    whole = folder.journal.read_bytes()
    folder.journal.write_bytes(whole + torn.encode())
    resumed = asker(folder, spec)
    journal = folder.journal.read_bytes()
    assert journal.startswith(whole)
    assert all(json.loads(line) for line in journal[len(whole) :].splitlines())  # no glued line
    assert resumed.study.get_trials()[1].state == TrialState.COMPLETE
    assert resumed.suggest("a")["number"] == 2


def test_the_lock_of_a_killed_driver_on_the_journal_stops_nobody(folder):
    spec = study_spec()
    run_some(asker(folder, spec), 1)
    folder.journal.with_name("journal.log.lock").symlink_to(folder.journal)
    assert states(folder, spec) == ["COMPLETE"]


@pytest.mark.parametrize(
    "damage", [lambda j: j.write_bytes(b"\0" + j.read_bytes()[1:]), Path.unlink]
)
def test_a_damaged_journal_is_built_again_from_the_records(
    folder: StudyFolder, damage: Callable[[Path], object]
):
    spec = study_spec()
    one = asker(folder, spec)
    for i in range(3):
        draw = one.suggest(str(i))
        finish(one, str(i), draw, accuracy=0.6 + i / 10)
    before = one.study.get_trials()
    damage(folder.journal)
    rebuilt = asker(folder, spec)
    after = rebuilt.study.get_trials()
    assert [(t.number, t.state, t.values, t.params) for t in after] == [
        (t.number, t.state, t.values, t.params) for t in before
    ]
    assert rebuilt.suggest("a")["number"] == 3


def test_an_error_of_our_own_is_kept_for_the_launcher_and_ends_the_asking(folder):
    def broken(_: Params) -> list[str]:
        raise TypeError("ours")

    one = asker(folder, study_spec(), infeasible=broken)
    assert one.suggest("a") == Searcher.FINISHED
    assert isinstance(one.error, TypeError)
    assert one.suggest("b") == Searcher.FINISHED


PUBLISHED_SPACE: dict[str, Any] = {
    "student": {"layers": {"int": [1, 3]}, "hidden_size": [16, 24], "heads": [2, 4, 8]},
    "method": {
        "finetune": {},
        "kd": {"temperature": {"log": [1.0, 10.0]}},
        "pkd": {"beta": {"log": [1.0, 1000.0]}, "temperature": {"log": [1.0, 20.0]}},
    },
    "train": {"learning_rate": {"log": [1.0e-5, 1.0e-3]}, "epochs": 3},
}


def test_published_settings_are_the_first_trials(folder):
    spec = study_spec(PUBLISHED_SPACE, enqueue=["pkd:sst2", "kd:sst2"], trials=9)
    one = asker(folder, spec)
    pkd, kd = (one.suggest(str(n))["params"] for n in range(2))
    # alpha = (0.5 / 2) / (1 - 0.5 + 0.5 / 2) = 1/3; beta = 100 / 0.75
    assert pkd["method"] == "pkd"
    assert pkd["method.pkd.alpha"] == pytest.approx(1 / 3)
    assert pkd["method.pkd.beta"] == pytest.approx(400 / 3)
    assert (pkd["method.pkd.temperature"], pkd["method.pkd.normalise"]) == (10.0, True)
    assert pkd["train.learning_rate"] == 5e-5
    assert pkd["train.epochs"] == 3  # the study's: it searches no epochs
    assert (kd["method"], kd["train.learning_rate"]) == ("kd", 6e-5)


def test_a_setting_is_enqueued_once_whatever_interrupts_the_search(folder):
    spec = study_spec(PUBLISHED_SPACE, enqueue=["pkd:sst2", "kd:sst2"], trials=9)
    one = asker(folder, spec)
    finish(one, "a", one.suggest("a"))
    again = asker(folder, spec)
    kd, *others = (again.suggest(name)["params"] for name in "bcd")
    assert (kd["method"], kd["train.learning_rate"]) == ("kd", 6e-5)
    assert not {5e-5, 6e-5} & {params["train.learning_rate"] for params in others}


def test_a_setting_waits_for_a_student_that_it_can_have(folder):
    spec = study_spec(PUBLISHED_SPACE, enqueue=["pkd:sst2"], trials=9)

    def infeasible(params: Params) -> list[str]:
        return [] if params["student.layers"] == 3 else ["pkd needs more layers"]

    draw = asker(folder, spec, infeasible=infeasible).suggest("a")
    assert (draw["params"]["method"], draw["params"]["student.layers"]) == ("pkd", 3)
    assert draw["params"]["method.pkd.beta"] == pytest.approx(400 / 3)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pkd:sts2", r"unknown setting 'pkd:sts2'.*did you mean pkd:sst2"),
        ("lad:sst2", r"lad:sst2: space.method has no lad"),
        ("pkd:qnli", r"pkd:qnli: method.pkd.temperature is 20.0, which space.method.pkd.temp"),
    ],
)
def test_a_setting_that_the_space_cannot_draw_is_refused_with_the_reason(name, reason):
    space = copy.deepcopy(PUBLISHED_SPACE)
    space["method"]["pkd"]["temperature"] = {"log": [1.0, 10.0]}
    with pytest.raises(SpecError, match=reason):
        study_spec(space, enqueue=[name])


def test_every_published_setting_is_one_of_its_methods():
    for name, params in PUBLISHED.items():
        config = TrialConfig.from_params(
            {"student.layers": 2, "student.hidden_size": 16, "student.heads": 2, **params}
        )
        assert config.method.name == name.partition(":")[0]
