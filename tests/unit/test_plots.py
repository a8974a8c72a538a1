"""The front as plain data, as figures and as a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from tune_distill.folder import TrialRecord
from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.plots import SCHEMA, figures, front_data, marks, report
from tune_distill.plots.words import figure, knob, setting, short, tick

ACCURACY = Objective("accuracy", "max", 0.5)
SIZE = Objective("size_mb", "min", 100.0)
ROBUST = Objective("robust_worst", "max", 0.0)


def record(number, accuracy=None, size_mb=20.0, robust=0.4, state="complete", **params):
    outcome = None
    if accuracy is not None:
        intervals = {"accuracy": Interval(accuracy - 0.02, accuracy + 0.01)}
        outcome = Outcome(accuracy, size_mb, 5, 7.0, robust, intervals=intervals)
    return TrialRecord(number, state, {"method": "kd", **params}, outcome, seconds=3.0)


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
    assert data["schema"] == SCHEMA == 1
    assert data["counts"] == {"complete": 4, "pruned": 1, "failed": 1}
    assert [t["number"] for t in data["trials"]] == [2, 3, 6, 7]
    assert data["front"] == [2, 6, 7]
    assert {t["number"]: t["dominated_by"] for t in data["trials"]} == {
        2: [],
        3: [2, 7],
        6: [],
        7: [],
    }
    assert [t["on_front"] for t in data["trials"]] == [True, False, True, True]


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
    _, rest, front, knee, teacher = figures.projection(three, "size_mb", "accuracy").data
    assert (rest.x, rest.y) == ((95.0,), (0.7,))
    assert front.x == (40.0, 10.0, 90.0)
    assert front.error_y.array == pytest.approx([0.01] * 3)
    assert front.error_y.arrayminus == pytest.approx([0.02] * 3)
    assert front.error_x.array is None  # a size has no interval
    assert front.text == ("2", "6", "7")
    assert len(knee.x) == 1
    assert (teacher.x, teacher.y) == ((438.0,), (0.95,))
    # The teacher was not attacked.
    assert len(figures.projection(three, "size_mb", "robust_worst").data) == 4


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
    assert front.text == ("0", "", "", "9")


def test_hover_text_is_the_whole_trial_and_cannot_be_markup(data):
    trial = {**data["trials"][0], "params": {"method": "<b>&", "train.learning_rate": 3.52e-4}}
    text = marks.describe(trial)
    assert "<b>trial 2</b>" in text
    assert "accuracy: 0.800 (0.780, 0.810)" in text
    assert "method &lt;b&gt;&amp; · learning rate 3.52e-4" in text


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


def test_the_page_is_self_contained_and_under_6_mb(three):
    page = report(three)
    assert len(page.encode()) < 6e6
    assert all(link.startswith(("#", "data:")) for link in Page(page).fetched)
    assert page.count('<script type="application/json">') == 4  # three projections, the curve


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
    assert [row[0].split()[0] for row in rows] == ["7", "2", "6"]
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
    page = Page(report(front_data(records, [ACCURACY, SIZE], None, evil)))
    assert "x" not in page.fetched
    assert evil in "".join(page.words)


def test_one_objective_is_shown_over_the_trials():
    data = front_data(RECORDS, [ACCURACY], TEACHER)
    dominated, front = figures.single(data, "accuracy").data
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
