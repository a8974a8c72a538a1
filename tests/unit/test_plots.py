"""The front as plain data, as figures and as a page."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
from html.parser import HTMLParser

import pytest
import yaml

from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.plots import (
    SCHEMA,
    as_json,
    figures,
    front_data,
    knobs,
    progress,
    report,
    students,
)
from tune_distill.plots.csv import as_csv
from tune_distill.plots.data import thinned
from tune_distill.plots.hover import describe, words
from tune_distill.plots.marks import letters
from tune_distill.plots.summary import facts
from tune_distill.plots.words import figure, knob, setting, short, tick
from tune_distill.record import Rung, TrialRecord

ACCURACY = Objective("accuracy", "max", 0.5)
SIZE = Objective("size_mb", "min", 100.0)
ROBUST = Objective("robust_worst", "max", 0.0)


def record(number, accuracy=None, size_mb=20.0, robust=0.4, state="complete", epochs=0, **params):
    outcome = None
    if accuracy is not None:
        intervals = {"accuracy": Interval(accuracy - 0.02, accuracy + 0.01)}
        outcome = Outcome(accuracy, size_mb, 5, 7.0, robust, intervals=intervals)
    rungs = tuple(Rung(e + 1, 10 * e, 0.5, {}, 1.0) for e in range(epochs))
    params = {"method": "kd", **params}
    started = 1000.0 + 10 * number
    return TrialRecord(number, state, params, outcome, rungs, started=started, seconds=3.0)


RECORDS = (
    record(7, 0.9, 90.0, 0.2, layers=6),  # on the front
    record(2, 0.8, 40.0, 0.3, layers=4),  # on the front
    record(3, 0.7, 95.0, 0.1, layers=4),  # beaten by 2 and by 7
    record(4, state="pruned"),
    record(5, state="failed"),
    record(6, 0.6, 10.0, 0.25, layers=2),  # on the front
)
TEACHER = {"accuracy": 0.95, "size_mb": 438.0}


@pytest.fixture
def data():
    return front_data(RECORDS, [ACCURACY, SIZE], TEACHER, "small")


@pytest.fixture
def three():
    return front_data(RECORDS, [ACCURACY, SIZE, ROBUST], TEACHER, "small")


def test_the_data_say_who_is_on_the_front_and_who_beats_the_rest(data):
    assert data["schema_version"] == SCHEMA == 2
    assert data["counts"] == {"complete": 4, "pruned": 1, "failed": 1}
    assert data["front"] == [2, 6, 7]
    better = {t["number"]: t["dominated_by"] for t in data["trials"]}
    assert better == {2: [], 3: [2, 7], 4: [], 5: [], 6: [], 7: []}
    assert [t["number"] for t in data["trials"] if t["on_front"]] == [2, 6, 7]


def test_every_trial_that_ended_is_there_with_its_state_and_only_the_measured_have_objectives(data):
    states = {t["number"]: t["state"] for t in data["trials"]}
    assert states == {
        2: "complete",
        3: "complete",
        4: "pruned",
        5: "failed",
        6: "complete",
        7: "complete",
    }
    assert {t["number"] for t in data["trials"] if not t["objectives"]} == {4, 5}


def test_members_whose_intervals_overlap_are_a_group_with_a_letter():
    # 0.88 to 0.91, 0.87 to 0.90; 0.58 to 0.61 alone. The knee: scaled 0 at (0, 1),
    # 1 at (0.01 / 0.3, 20 / 80), 2 at (1, 0).
    records = [record(0, 0.9, 90.0), record(1, 0.89, 30.0), record(2, 0.6, 10.0)]
    found = front_data(records, [ACCURACY, SIZE])
    assert found["groups"] == [[0, 1], [2]]
    assert [t["tied_with"] for t in found["trials"]] == [[1], [0], []]
    assert letters(found) == {0: "A", 1: "A"}
    assert figures.projection(found, "size_mb", "accuracy").data[2].text[0] == "0<sup>A</sup>"
    page = Page(report(found))
    assert "can't tell them apart: A: 0, 1." in " ".join(page.words)
    assert [row[3] for row in page.rows] == ["tied", "A", "A", ""]


def test_the_students_without_a_teacher_and_the_best_plain_distillation_are_controls():
    records = [
        record(0, 0.9, method="pkd"),
        record(1, 0.7),
        record(2, 0.8),
        record(3, 0.6, method="finetune"),
        record(4, state="failed", method="finetune"),
    ]
    found = front_data(records, [ACCURACY, SIZE])
    assert [t["control"] for t in found["trials"]] == [None, None, "kd", "finetune", "finetune"]
    squares = figures.projection(found, "size_mb", "accuracy").data[4]
    assert (squares.y, squares.marker.symbol) == ((0.8, 0.6), "square-open")


def test_the_data_hold_each_trial_as_it_was_measured(data):
    (trial,) = (t for t in data["trials"] if t["number"] == 7)
    assert trial["params"] == {"method": "kd", "layers": 6}
    assert trial["objectives"] == {"accuracy": 0.9, "size_mb": 90.0}
    assert trial["measures"]["robust_worst"] == 0.2
    assert trial["intervals"] == {"accuracy": [0.88, 0.91]}
    assert data["objectives"][0] == {"name": "accuracy", "goal": "max", "reference": 0.5}
    assert data["teacher"] == TEACHER


def test_the_hypervolume_grows_trial_by_trial(data):
    # Below (accuracy 0.5, 100 MB). 2: 0.3 * 60 = 18. 3: dominated. 6: + 0.1 * (40 - 10) = 21.
    # 7: + (0.9 - 0.8) * (100 - 90) = 22.
    numbers, volumes = zip(*data["hypervolume_curve"], strict=True)
    assert numbers == (2, 3, 6, 7)
    assert volumes == pytest.approx([18.0, 18.0, 21.0, 22.0])
    assert data["hypervolume"] == pytest.approx(22.0)


def test_the_knee_is_the_members_nearest_to_the_ideal(data):
    # Scaled: 2 at (1/3, 3/8), 6 at (1, 0), 7 at (0, 1).
    assert data["knee"] == 2


def test_a_study_without_a_complete_trial_has_data_and_a_page():
    data = front_data([record(0, state="failed")], [ACCURACY, SIZE])
    assert (data["front"], data["knee"], data["hypervolume"], data["teacher"]) == (
        [],
        None,
        0,
        None,
    )
    assert "No trial is complete yet" in report(data)


def test_the_data_are_json_and_come_back_the_same(three):
    assert json.loads(json.dumps(three, allow_nan=False)) == three


def test_three_objectives_make_three_projections_with_the_cost_below(three):
    assert figures.pairs(three) == [
        ("size_mb", "accuracy"),
        ("accuracy", "robust_worst"),
        ("size_mb", "robust_worst"),
    ]


def test_two_objectives_are_joined_by_the_steps_of_the_front(data):
    stairs = figures.projection(data, "size_mb", "accuracy").data[0]
    # From the smallest on: along its accuracy to the next size, then up.
    assert (stairs.x, stairs.y, stairs.line.shape) == ((10.0, 40.0, 90.0), (0.6, 0.8, 0.9), "hv")


def test_the_front_is_drawn_with_its_intervals_and_the_teacher_where_it_was_measured(three):
    drawn = figures.projection(three, "size_mb", "accuracy").data
    _, rest, front, knee, controls, teacher, halo = drawn
    assert (rest.x, rest.y) == ((95.0,), (0.7,))
    assert front.x == (40.0, 10.0, 90.0)
    assert front.error_y.array == pytest.approx([0.01] * 3)
    assert front.error_y.arrayminus == pytest.approx([0.02] * 3)
    assert front.error_x.array is None  # a size has no interval
    assert front.text == ("2", "6", "7")
    assert front.customdata == (2, 6, 7)  # by which page.js finds what hovers over them
    assert len(knee.x) == 1
    assert controls.x == (90.0,)  # all are plain distillations: the most accurate
    assert (halo.name, halo.x) == ("halo", ())
    assert (teacher.x, teacher.y) == ((438.0,), (0.95,))
    # The teacher was not attacked.
    assert len(figures.projection(three, "size_mb", "robust_worst").data) == 6


def test_three_objectives_are_shown_at_once_in_space(three):
    rest, front, knee, _, halo = figures.solid(three).data  # the teacher was not attacked
    assert (front.x, front.y, front.z) == ((0.8, 0.6, 0.9), (40.0, 10.0, 90.0), (0.3, 0.25, 0.2))
    assert (rest.customdata, front.customdata) == ((3,), (2, 6, 7))
    assert {trace.type for trace in (rest, front, knee, halo)} == {"scatter3d"}
    titles = [figures.solid(three).layout.scene[f"{axis}axis"].title.text for axis in "xyz"]
    assert titles == ["accuracy", "size (MB)", "accuracy under attack"]


def test_sizes_over_a_decade_get_a_log_axis_with_round_ticks(data):
    axis = figures.projection(data, "size_mb", "accuracy").layout.xaxis
    assert axis.type == "log"  # 10 to 438 MB
    assert [t for t in axis.ticktext if 10 <= float(t) <= 500] == [
        "10",
        "20",
        "50",
        "100",
        "200",
        "500",
    ]
    near = front_data([record(0, 0.8, 20.0), record(1, 0.9, 60.0)], [ACCURACY, SIZE])
    assert figures.projection(near, "size_mb", "accuracy").layout.xaxis.type is None


def test_numbers_that_would_lie_upon_another_are_left_out():
    close = [record(i, 0.8 + 0.0001 * i, 50.0 + 0.001 * i) for i in range(3)]
    data = front_data([*close, record(9, 0.5, 10.0)], [ACCURACY, SIZE])
    front = figures.projection(data, "size_mb", "accuracy").data[2]
    assert front.text == ("0<sup>A</sup>", "", "", "9")


def test_hover_text_is_the_whole_trial_and_cannot_be_markup(data):
    trial = {**data["trials"][0], "params": {"method": "<b>&", "train.learning_rate": 3.52e-4}}
    assert describe(trial) == {
        "lines": [
            "<b>trial 2</b>",
            "accuracy: 0.800 (0.780, 0.810)",
            "size (MB): 40.0",
            "on the front",
        ],
        "knobs": ["method &lt;b&gt;&amp;", "learning rate 3.52e-4"],
    }
    assert words(data)[3]["lines"][-1] == "dominated by 2, 7"
    assert words(data)[7]["lines"][-1] == "control: the most accurate plain distillation"
    assert set(words(data)) == {2, 3, 6, 7}


def test_each_student_is_a_line_over_the_knobs_that_vary_and_the_objectives():
    records = [
        record(0, 0.9, 90.0, layers=6, rate=1e-5, init="first"),
        record(1, 0.8, 95.0, layers=2, rate=1e-3, init="last"),  # dominated
        record(2, 0.7, 10.0, layers=4, rate=None, init="first"),
    ]
    (lines,) = knobs.parallel(front_data(records, [ACCURACY, SIZE])).data
    assert lines.customdata == (1, 0, 2)  # the front is drawn last
    assert lines.line.color == (0, 1, 1)
    axes = {axis.label: axis for axis in lines.dimensions}
    assert list(axes) == ["layers", "rate", "init", "accuracy", "size (MB)"]  # all have kd
    assert (axes["layers"].values, axes["layers"].ticktext) == ((2, 6, 4), ("2", "4", "6"))
    # Over a decade: logarithms. Who has none lies below, by 0.12 of the range.
    assert axes["rate"].values == pytest.approx((-3.0, -5.0, -5.24))
    assert axes["rate"].ticktext == ("none", "1e-5", "0.001")
    assert (axes["init"].values, axes["init"].ticktext) == ((1, 0, 0), ("first", "last"))
    assert axes["accuracy"].range == (0.7, 0.9)


def test_many_values_get_round_ticks():
    records = [record(i, 0.5 + 0.011 * i, rate=0.1 * i) for i in range(20)]
    (lines,) = knobs.parallel(front_data(records, [ACCURACY, SIZE])).data
    axes = {axis.label: axis for axis in lines.dimensions}
    assert axes["rate"].tickvals == pytest.approx((0.0, 0.5, 1.0, 1.5))  # 0 to 1.9
    assert axes["accuracy"].tickvals == pytest.approx((0.5, 0.55, 0.6, 0.65, 0.7))  # to 0.709


def test_a_knob_that_is_not_clear_of_chance_is_hollow():
    data = front_data(RECORDS, [ACCURACY, SIZE])
    data["importances"] = {
        "accuracy": {
            "student.layers": {"effect": 0.7, "trials": 20, "clear": True},
            "method.kd.alpha": {"effect": 0.1, "trials": 9, "clear": False},
        }
    }
    (bars,) = knobs.importance(data, "accuracy").data
    assert (bars.x, bars.text) == ((0.7, 0.1), ("0.70", "0.10"))
    assert bars.y == ("layers <i>(20)</i>", "kd alpha <i>(9)</i>")
    assert bars.marker.color == ("#0072B2", "white")


def test_the_hypervolume_rises_by_the_clock_too(data):
    # Each began at 1000 + 10 n and took 3 s; the first of all, 2, at 1020.
    times, volumes = zip(*data["hypervolume_time"], strict=True)
    assert times == (3.0, 13.0, 43.0, 53.0)
    assert volumes == pytest.approx([18.0, 18.0, 21.0, 22.0])
    (line,) = progress.by_time(data).data
    assert (line.x[0], line.y[0]) == (0.0, 0.0)
    assert progress.by_time(data).layout.xaxis.title.text == "seconds since the first trial began"


def test_a_trial_that_ended_first_counts_first_by_the_clock():
    slow = TrialRecord(0, "complete", {}, Outcome(0.9, 50.0, 5, 7.0), started=0.0, seconds=7200.0)
    fast = TrialRecord(1, "complete", {}, Outcome(0.8, 60.0, 5, 7.0), started=60.0, seconds=40.0)
    data = front_data([slow, fast], [ACCURACY, SIZE])
    # 1: 0.3 * 40 = 12, then 0: 0.4 * 50 = 20, which dominates it.
    assert data["hypervolume_curve"] == [[0, pytest.approx(20.0)], [1, pytest.approx(20.0)]]
    assert data["hypervolume_time"] == [[100.0, pytest.approx(12.0)], [7200.0, pytest.approx(20.0)]]
    assert progress.by_time(data).data[0].x == pytest.approx((0.0, 100 / 3600, 2.0))


def test_rungs_say_how_many_came_so_far_and_who_stopped_there():
    records = [
        record(0, 0.9, epochs=3),
        record(1, 0.8, epochs=2),  # asked for two
        record(2, state="pruned", epochs=1),
        record(3, state="pruned", epochs=1),
        record(4, state="failed"),
    ]
    data = front_data(records, [ACCURACY, SIZE])
    assert data["rungs"] == [
        {"epoch": 0, "reached": 5, "complete": 0, "pruned": 0, "failed": 1},
        {"epoch": 1, "reached": 4, "complete": 0, "pruned": 2, "failed": 0},
        {"epoch": 2, "reached": 2, "complete": 1, "pruned": 0, "failed": 0},
        {"epoch": 3, "reached": 1, "complete": 1, "pruned": 0, "failed": 0},
    ]
    bars = {bar.name: bar.y for bar in progress.survival(data).data}
    assert bars == {"went on": (2, 1, 0), "complete": (0, 1, 1), "stopped": (2, 0, 0)}


def test_the_csv_has_every_trial_with_its_intervals_and_knobs(data):
    rows = list(csv.DictReader(io.StringIO(as_csv(data))))
    assert [row["trial"] for row in rows] == ["2", "3", "4", "5", "6", "7"]
    assert rows[1] == {
        "schema_version": "2",
        "trial": "3",
        "state": "complete",
        "on_front": "False",
        "tied_with": "",
        "dominated_by": "2 7",
        "breaks": "",
        "control": "",
        "seconds": "3.0",
        "epochs": "0",
        "accuracy": "0.7",
        "accuracy.low": "0.6799999999999999",  # 0.7 - 0.02
        "accuracy.high": "0.71",
        "size_mb": "95.0",
        "size_mb.low": "",
        "size_mb.high": "",
        "method": "kd",
        "layers": "4",
    }
    assert (rows[2]["state"], rows[2]["accuracy"]) == ("pruned", "")


class Page(HTMLParser):
    """What a browser would fetch, the table, and the plain text."""

    def __init__(self, page):
        super().__init__()
        self.fetched, self.rows, self.words, self.open = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        given = dict(attrs)
        self.fetched += [given[k] for k in ("src", "href") if k in given]
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, text):
        if not {"script", "style"} & set(self.open):
            self.words.append(text)
            if self.rows and {"td", "th"} & set(self.open):
                self.rows[-1][-1] += text


def embedded(page, name):
    (found,) = re.findall(rf'<script type="[a-z/]+" id="{name}">(.*?)</script>', page, re.DOTALL)
    return found


def test_the_page_is_self_contained_and_well_under_6_mb(three):
    page = report(three)
    assert len(page.encode()) < 2.5e6
    assert all(link.startswith(("#", "data:")) for link in Page(page).fetched)
    # Three projections, space, the lines; hypervolume twice. No trial reported an epoch, and of
    # four no importance can be told.
    assert page.count('<script type="application/json">') == 7
    script = gzip.decompress(base64.b64decode(embedded(page, "plotly"))).decode()
    assert "plotly.js" in script[:200]


def test_the_page_embeds_what_front_json_holds(three):
    three["name"] = "</script><b>"  # which must not end the script
    assert json.loads(embedded(report(three), "data")) == json.loads(as_json(three)) == three


def test_the_page_has_the_yaml_of_its_students_and_a_button_for_each(data):
    page = report(data, {2: "name: two\n", 7: "name: seven\n"})
    assert json.loads(embedded(page, "students")) == {"2": "name: two\n", "7": "name: seven\n"}
    assert re.findall(r'aria-label="YAML of trial (\d+)"', page) == ["7", "2"]


def test_a_students_yaml_is_a_study_of_that_one_draw(data):
    document = {"name": "small", "task": {"builtin": "reviews"}, "space": {}, "search": {"seed": 1}}
    for trial in data["trials"]:
        trial["params"] = {"method": "kd", "method.kd.alpha": 0.5, "train.learning_rate": 5e-7}
    found = students(document, data)
    assert list(found) == [2, 6, 7]  # the front's
    assert yaml.safe_load(found[6]) == {
        "name": "small-trial-6",
        "task": {"builtin": "reviews"},
        "space": {
            "student": {},
            "method": {"kd": {"alpha": 0.5}},
            "train": {"learning_rate": 5e-7},
        },
    }


def test_the_page_says_what_matters_first(data):
    text = " ".join(" ".join(Page(report(data)).words).split())
    assert "small 3 of 4 students are on the front" in text
    assert "6 trials ended: 4 complete, 1 pruned, 1 failed." in text
    assert "highest accuracy 0.900 trial 7" in text
    assert "lowest size (MB) 10.0 trial 6" in text
    assert "hypervolume 22" in text


def test_the_table_has_the_front_by_its_first_objective_and_the_knobs_that_differ(data):
    head, *rows = Page(report(data)).rows
    assert head == ["trial", "accuracy", "size (MB)", "layers"]
    assert [row[0][0] for row in rows] == ["7", "2", "6"]
    assert rows[0][1:] == ["0.9000.880\u20130.910", "90.0", "6"]
    assert "The same for all of them: method kd" in " ".join(Page(report(data)).words)


def test_the_page_holds_the_data_that_the_figures_show(data):
    drawn = re.findall(r'<script type="application/json">(.*?)</script>', report(data), re.DOTALL)
    front = json.loads(drawn[0])["data"][2]
    assert front["x"] == [40.0, 10.0, 90.0]
    assert front["y"] == [0.8, 0.6, 0.9]


def test_names_and_knobs_cannot_smuggle_markup_into_the_page():
    evil = "</script><img src=x onerror=alert(1)>"
    records = [record(0, 0.8, 20.0, knob=evil), record(1, 0.9, 30.0, knob="plain")]
    data = front_data(records, [ACCURACY, SIZE], None, evil)
    page = Page(report(data, {1: evil}))
    assert "x" not in page.fetched
    assert evil in "".join(page.words)


def test_one_objective_is_shown_over_the_trials():
    data = front_data(RECORDS, [ACCURACY], TEACHER)
    dominated, front, _ = figures.single(data, "accuracy").data
    assert (dominated.x, front.x, front.y) == ((2.0, 3.0, 6.0), (7.0,), (0.9,))
    assert "Accuracy by trial" in report(data)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0342, "0.0342"),
        (4.567, "4.57"),
        (20, "20.0"),
        (181.4, "181"),
        (9999, "9999"),
        (10_000, "10.0 k"),
        (4_386_178, "4.39 M"),
        (999_600, "1.00 M"),
        (22_348_283_904, "22.3 G"),
    ],
)
def test_figures_have_three_digits_and_a_prefix(value, text):
    assert short(value) == text


def test_ticks_rates_knobs_and_settings_read_well():
    assert [tick(v) for v in (20, 0.05, 1e7, 2.5)] == ["20", "0.05", "10 M", "2.50"]
    assert (figure("accuracy", 0.9), figure("size_mb", 17.555)) == ("0.900", "17.6")
    assert [knob(k) for k in ("student.layers", "method", "method.kd.alpha")] == [
        "layers",
        "method",
        "kd alpha",
    ]
    assert [setting(v) for v in (3.521e-4, 2e-5, 0.30001, 2, True, None, "kd")] == [
        "3.52e-4",
        "2e-5",
        "0.3",
        "2",
        "True",
        "",
        "kd",
    ]


def test_of_very_many_dominated_trials_an_even_share_is_drawn():
    more = [record(n, 0.5 + n / 1e4, 50.0 + n) for n in range(10, 20)]  # all beaten by 2
    data = front_data([*RECORDS, *more], [ACCURACY, SIZE], TEACHER, "many")
    kept = thinned(data, most=5)
    # Of the eleven faint, 3 and 10 to 19, the first, third, fifth, seventh and ninth.
    assert [t["number"] for t in kept["trials"]] == [2, 3, 6, 7, 11, 13, 15, 17]
    assert {**kept, "trials": data["trials"]} == {**data, "undrawn": 6}  # all else is there
    assert "6 of the others are not drawn; front.json has them." in facts(kept)
    assert thinned(data, most=11) is data
    assert "not drawn" not in facts(data)
