"""MLflow's own page on a real study, in headless Chromium: what a user sees, and that all is there.

The server is killed in the middle of the search, and started again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests import tiny
from tests.browser import CHROMIUM, Browser
from tests.integration.test_cli import STUDY
from tests.integration.test_track import Server
from tune_distill.folder import StudyFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]

# What MLflow's page says of itself: nobody is signed in, and its tables change their sizes.
_MLFLOWS = ("ajax-api/2.0/mlflow/users/current", "ResizeObserver loop")


class Found:
    """A finished search, its server and its runs."""

    def __init__(self, folder, server):
        self.folder, self.server = StudyFolder(folder), server
        client = MlflowClient(server.uri)
        (experiment,) = [e for e in client.search_experiments() if e.name == "tiny"]
        self.experiment = experiment.experiment_id
        self.runs = {r.info.run_name: r for r in client.search_runs([self.experiment])}
        self.parent = self.runs["tiny"].info.run_id
        self.client = client

    def at(self, rest=""):
        """The address of a page of the experiment."""
        return f"{self.server.uri}/#/experiments/{self.experiment}{rest}"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    home, elsewhere = (tmp_path_factory.mktemp(name) for name in ("home", "server"))
    tiny.write_task(home)
    tiny.write_teacher(home / "teacher")
    (home / "tiny.yaml").write_text(STUDY)
    server = Server(elsewhere)
    server.start()
    command = [sys.executable, "-m", "tune_distill", "search", "tiny.yaml"]
    command += ["--tracking-uri", server.uri, "--set", "resources.system_metrics=true"]
    try:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        given = {"cwd": home, "env": environment, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **given) as search:
            ended = "studies/tiny/trials/*/trial.json"
            while not list(home.glob(ended)) and search.poll() is None:
                time.sleep(0.1)
            server.stop()
            time.sleep(2)
            server.start()
            _, talk = search.communicate(timeout=300)
        assert search.returncode == 0, talk
        # A server takes longer to start than this search takes; the same command sends the rest.
        again = subprocess.run(command, check=False, **given)
        assert again.returncode == 0, again.stderr
        yield Found(home / "studies/tiny", server)
    finally:
        server.stop()


@pytest.fixture
def browser(tmp_path):
    with Browser(tmp_path) as one:
        yield one


def own_faults(browser):
    """The console's errors but MLflow's own."""
    return [f for f in browser.faults if not any(known in str(f) for known in _MLFLOWS)]


def test_nothing_is_lost_where_the_server_is_killed_in_the_middle(found):
    records = found.folder.records()
    assert len(records) == 4
    assert {r.info.status for r in found.runs.values()} == {"FINISHED"}
    assert found.runs.keys() == {"tiny", "teacher", *(f"trial {r.number}" for r in records)}
    for record in records:
        run = found.runs[f"trial {record.number}"]
        measures = record.outcome.measures()
        assert measures.items() <= run.data.metrics.items()
        for name in ("rung.accuracy", "loss.total", "system/process_cpu_percentage"):
            history = found.client.get_metric_history(run.info.run_id, name)
            assert sorted(point.step for point in history) == [1, 2], name
        assert run.data.tags["rung"] == "2"
        assert run.data.tags["seed"] == str(record.params["train.seed"])
        assert run.data.tags["mlflow.parentRunId"] == found.parent
    assert not (found.folder.path / "outbox/refused.jsonl").exists()


def test_the_runs_are_sorted_by_an_objective_in_the_studys_own_view(found, browser):
    note = found.runs["tiny"].data.tags["mlflow.note.content"]
    link = note.partition("[runs by objectives](")[2].partition(")")[0]
    browser.open(f"{found.server.uri}/{link}")
    browser.says("size_mb")
    names = {r: run.data.metrics.get("accuracy") for r, run in found.runs.items() if r != "tiny"}
    script = (
        "[...document.querySelectorAll('a')].map(a => a.innerText.trim())"
        f".filter(t => {sorted(names)}.includes(t))"
    )
    browser.wait(f"{script}.length >= {len(names)}")
    shown = [names[name] for name in browser.run(script)]
    assert shown == sorted(shown, reverse=True)
    assert "Error loading shared view" not in browser.text()
    assert own_faults(browser) == []


def test_the_parent_says_what_the_front_is_and_shows_its_picture(found, browser, tmp_path):
    browser.open(found.at(f"/runs/{found.parent}"))
    front = found.folder.path / "front.md"
    browser.says(front.read_text().split("**")[1])  # 2 of 4 students are on the front
    browser.says("tune-distill export tiny --pick knee")
    wide = "document.querySelector('img[src*=\"front.png\"]').naturalWidth"
    assert browser.wait(wide) > 400
    teacher = found.runs["teacher"].data.metrics["accuracy"]
    assert f"{teacher:.3f}" in browser.run("document.body.textContent")
    assert own_faults(browser) == []
    browser.picture(tmp_path / "parent.png")
    assert (tmp_path / "parent.png").stat().st_size > 10_000


def test_the_front_page_renders_in_mlflow_and_without_a_fault_of_its_own(found, browser):
    browser.open(found.at(f"/runs/{found.parent}/artifacts/front.html"))
    browser.wait("document.querySelector('iframe')")
    assert own_faults(browser) == []
    page = Path(found.client.download_artifacts(found.parent, "front.html"))
    assert page.stat().st_size < 6e6
    browser.open(page.as_uri())
    browser.wait("document.querySelectorAll('.js-plotly-plot .main-svg').length > 0")
    browser.says("on the front")
    assert own_faults(browser) == []
