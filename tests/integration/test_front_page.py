"""The front's page in a browser: what is drawn, linked, sorted and copied."""

from __future__ import annotations

import dataclasses
import json
import random

import pytest

from tests.browser import CHROMIUM, Browser
from tune_distill.outcome import Interval, Objective, Outcome
from tune_distill.plots import front_data, report
from tune_distill.record import Rung, TrialRecord

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
]
AXES = (
    Objective("accuracy", "max", 0.5),
    Objective("size_mb", "min", 100.0),
    Objective("robust_worst", "max", 0.0),
)
TEACHER = {"accuracy": 0.95, "size_mb": 91.0, "robust_worst": 0.24}


def records(count=24):
    rng = random.Random(0)
    for number in range(count):
        layers, accuracy = 1 + number % 6, round(rng.uniform(0.7, 0.9), 3)
        params = {"method": rng.choice(["kd", "finetune"]), "student.layers": layers}
        params["train.learning_rate"] = 10 ** rng.uniform(-5, -3)
        outcome = Outcome(accuracy, 15.0 * layers + rng.random(), 5, 7.0, rng.uniform(0.1, 0.3))
        interval = Interval(accuracy - 0.02, accuracy + 0.02)
        outcome = dataclasses.replace(outcome, intervals={"accuracy": interval})
        rungs = (Rung(1, 10, 0.5, {}, 1.0), Rung(2, 20, accuracy, {}, 2.0))
        state = "pruned" if number % 5 == 4 else "complete"
        whole = (outcome, rungs) if state == "complete" else (None, rungs[:1])
        yield TrialRecord(number, state, params, *whole, started=10.0 * number, seconds=9.0)


@pytest.fixture(scope="module")
def data():
    return front_data(list(records()), AXES, TEACHER, "page")


@pytest.fixture(scope="module")
def file(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "front.html"
    path.write_text(report(data, {n: f"name: page-trial-{n}\n" for n in data["front"]}))
    return path


@pytest.fixture(scope="module")
def page(file, tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser"), width=1280) as browser:
        browser.open(file.as_uri())
        browser.wait("document.body.dataset.drawn === '11'")
        yield browser
        assert browser.faults == []


def hovered(page, plot, number):
    """Moves the mouse over a trial in a projection."""
    place = f"""(() => {{
      const plot = document.querySelectorAll('.plot')[{plot}];
      plot.scrollIntoView({{ block: 'center' }});
      const trace = plot.data.find((one) => one.customdata?.includes({number}));
      const at = trace.customdata.indexOf({number}), box = plot.getBoundingClientRect();
      const {{ xaxis, yaxis }} = plot._fullLayout;
      return [box.left + xaxis._offset + xaxis.d2p(trace.x[at]),
              box.top + yaxis._offset + yaxis.d2p(trace.y[at])];
    }})()"""
    x, y = page.run(place)
    for step in (30, 3, 0):
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + step, y=y)


def test_every_figure_is_drawn(page):
    # Three projections, space, lines, an importance an objective, hypervolume twice, rungs.
    kinds = page.run("[...document.querySelectorAll('.plot')].map((plot) => plot.data[0].type)")
    assert kinds == [
        *["scatter"] * 3,
        "scatter3d",
        "parcoords",
        *["bar"] * 3,
        *["scatter"] * 2,
        "bar",
    ]
    empty = "[...document.querySelectorAll('.plot')].filter((p) => !p.querySelector('svg, canvas'))"
    assert page.run(f"{empty}.length") == 0
    assert page.run("document.querySelectorAll('.plot')[0].querySelectorAll('.point').length") > 20
    # Nothing is wider than the page.
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


def test_the_embedded_data_are_those_of_front_json(page, data):
    told = page.run("document.getElementById('data').textContent")
    assert json.loads(told) == json.loads(json.dumps(data))


def test_a_trial_that_is_pointed_at_is_marked_in_every_figure_of_the_front(page, data):
    number = data["knee"]
    (trial,) = (t for t in data["trials"] if t["number"] == number)
    hovered(page, 0, number)
    page.wait(f"document.querySelector('tr.pointed')?.dataset.trial === '{number}'")
    halo = "document.querySelectorAll('.plot')[{}].data.find((one) => one.name === 'halo')"
    at = trial["objectives"]
    assert page.run(f"{halo.format(1)}.x[0]") == at["accuracy"]
    assert page.run(f"{halo.format(1)}.y[0]") == at["robust_worst"]
    assert page.run(f"{halo.format(3)}.z[0]") == at["robust_worst"]
    assert page.run(f"{halo.format(1)}.x.length") == 1 + len(trial["tied_with"])
    lines = "document.querySelectorAll('.plot')[4].data[0]"
    assert page.run(f"{lines}.customdata[{lines}.line.color.indexOf(2)]") == number
    low, high = trial["intervals"]["accuracy"]
    told = f"trial {number}accuracy: {at['accuracy']:.3f} ({low:.3f}, {high:.3f})"
    page.wait(f"document.querySelector('.plot .hoverlayer').textContent.includes('{told}')", 10)
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    page.wait(f"!document.querySelector('tr.pointed') && {halo.format(1)}.x.length === 0")


def test_the_table_sorts_by_a_click_on_a_heading(page, data):
    sizes = [t["objectives"]["size_mb"] for t in data["trials"] if t["on_front"]]
    column = (
        "[...document.querySelectorAll('tbody tr')].map((row) => +row.children[2].dataset.value)"
    )
    for order in (sorted(sizes), sorted(sizes, reverse=True)):
        page.run("document.querySelectorAll('thead button')[2].click()")
        assert page.run(column) == order


def test_a_students_yaml_is_copied(page):
    number = page.run("+document.querySelector('tbody tr').dataset.trial")
    page.run("document.querySelector('.copy').click()")
    page.wait("document.querySelector('dialog [role=status]').textContent")
    assert page.run("getSelection().toString().trim()") == f"name: page-trial-{number}"
    assert page.run("document.querySelector('dialog').open")
    page.run("document.querySelector('dialog').close()")


def test_on_a_phone_nothing_is_cut_off_and_a_tap_tells_of_a_trial(file, data, tmp_path):
    with Browser(tmp_path, width=390, height=844) as phone:
        metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        phone.call("Emulation.setDeviceMetricsOverride", **metrics)
        phone.call("Emulation.setTouchEmulationEnabled", enabled=True)
        phone.open(file.as_uri())
        phone.wait("document.body.dataset.drawn === '11'")
        assert phone.run("document.documentElement.scrollWidth") == 390
        place = """(() => {
          const plot = document.querySelector('.plot');
          plot.scrollIntoView({ block: 'center' });
          const trace = plot.data.find((one) => one.name !== 'halo' && one.hovertext?.length === 1);
          const box = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout;
          return [box.left + xaxis._offset + xaxis.d2p(trace.x[0]),
                  box.top + yaxis._offset + yaxis.d2p(trace.y[0])];
        })()"""
        x, y = phone.run(place)  # of the teacher, which lies alone
        phone.call("Input.synthesizeTapGesture", x=x, y=y, gestureSourceType="touch")
        phone.wait("!document.querySelector('aside').hidden")
        assert phone.run("document.querySelector('aside').innerText").startswith("teacher")
        assert phone.faults == []
