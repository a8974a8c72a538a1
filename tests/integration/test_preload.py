"""What workers of our own Ray import ahead, and that the first trials get these workers."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import launch_study
import pytest
from launch_study import Prepare, document, ran, read_rungs, run
from ray import cloudpickle

from tune_distill.folder import StudyFolder
from tune_distill.launch import session
from tune_distill.launch.search import _session, search
from tune_distill.spec import resolve

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # Ray's own, as in test_launch.py
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Late(Prepare):
    """Is done when two workers have imported what they are to."""

    def __call__(self, *given):
        for _ in range(600):
            if len(imported(self.inputs["told"])) == 2:
                break
            time.sleep(0.1)
        return super().__call__(*given)


def imported(told: Path) -> list[int]:
    return [int(line) for line in told.read_text().split()] if told.exists() else []


@pytest.mark.slow  # failed twice in some fifteen runs, for a reason not yet seen
def test_the_first_trials_get_workers_that_have_imported_all(tmp_path, monkeypatch):
    cloudpickle.register_pickle_by_value(launch_study)
    told = tmp_path / "told"
    (tmp_path / "of_a_trial.py").write_text(
        f"import os\nwith open({str(told)!r}, 'a') as file:\n    file.write(f'{{os.getpid()}}\\n')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    asked = document(4)
    with tempfile.TemporaryDirectory(prefix="td", dir="/tmp") as short:
        search(
            resolve(asked),
            asked,
            tmp_path,
            prepare=Late(told=told, nap=1.0),
            run=run,
            read_rungs=read_rungs,
            num_cpus=2,
            temporary=Path(short),
            preload=["of_a_trial"],
        )
    workers = {process for _, _, process in ran(StudyFolder(tmp_path / "toy"))}
    assert len(workers) == 2
    assert sorted(workers) == sorted(imported(told))


@pytest.mark.parametrize(
    ("resources", "trials", "ahead"),
    [
        ({}, 40, True),
        ({"cpus_per_trial": 2}, 40, True),
        ({"cpus_per_trial": 3}, 40, False),  # Ray starts 8 workers, of which two would have trials
        ({"cpus_per_trial": 0.5}, 40, True),
        ({"concurrent": 4}, 40, True),
        ({"concurrent": 3}, 40, False),
        ({"concurrent": 100}, 40, True),
        ({"gpus_per_trial": 0.1}, 40, False),
        ({}, 4, True),
        ({}, 3, False),
    ],
)
def test_workers_import_nothing_ahead_where_most_would_do_so_for_nothing(
    resources, trials, ahead, tmp_path, monkeypatch
):
    asked = {}
    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(session.ray, "init", lambda **given: asked.update(given))
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    spec = resolve(document(trials) | {"resources": resources})
    with _session(spec, StudyFolder(tmp_path), None, 8, None, ["json"]):
        pass
    own = asked.get("_system_config", {}).get("preload_python_modules")
    assert own == (["json"] if ahead else None)
