"""The README as a newcomer follows it: its commands as written, and what it says they print."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tune_distill.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language):
    """The README's code blocks of a language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


def run(folder, *words, code=0):
    """A command of the README in a folder; its stdout and stderr."""
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_check_says_of_the_shown_study_what_is_shown(tmp_path):
    (study,) = blocks("yaml")
    (transcript,) = (block for block in blocks("") if block.startswith("$ "))
    command, *shown = transcript.splitlines()
    words = shlex.split(command.removeprefix("$ "))
    (tmp_path / words[2]).write_text(study)
    done = run(tmp_path, *words, code=2)
    assert (done.stdout + done.stderr).splitlines() == shown


def test_every_command_and_option_that_is_named_is_there():
    known = get_command(app)
    named = re.findall(r"`tune-distill ([a-z][^`]*)`", README)
    assert len(named) > 10
    for text in named:
        first, *rest = text.split()
        command = known.commands[first]
        for name in rest:
            if name in getattr(command, "commands", {}):
                command = command.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        options |= {o for sub in getattr(command, "commands", {}).values() for p in sub.params
                    for o in p.opts}  # fmt: skip
        asked = set(re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", text))
        assert asked <= options, f"tune-distill {text}"


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory):
    """A folder in which the first command of the README was run, and what it printed.

    The environment that it would set up is the one that runs the tests.
    """
    folder = tmp_path_factory.mktemp("newcomer")
    shutil.copytree(ROOT / "search_spaces", folder / "search_spaces")
    shutil.copy(ROOT / "Makefile", folder)
    first, *_ = next(block for block in blocks("") if block.startswith("make")).splitlines()
    words = shlex.split(first.partition("#")[0])
    assert words == ["make", "quickstart"]
    return folder, run(folder, *words, f"BIN={BIN}", "-o", ".venv/.ready")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_quickstart_ends_with_its_knee_as_a_model_that_a_pipeline_loads(quickstart):
    from transformers import pipeline

    folder, done = quickstart
    (student,) = set(re.findall(r"exports its knee to `(.*?)`", README))
    assert student in done.stdout.splitlines()
    assert "12 trials" in README
    assert len(list(folder.glob("studies/quickstart/trials/*/trial.json"))) == 12
    assert "hypervolume: " in done.stdout  # the front was shown
    classify = pipeline("text-classification", str(folder / student))
    found = {classify(text)[0]["label"] for text in ("The soup was superb.", "It was dreadful.")}
    assert len(found) == 2
    card = (folder / student / "README.md").read_text()
    (use, *_) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    exec(use.replace("path/to/this/folder", str(folder / student)), {})


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_commands_after_it_do_what_the_readme_says(quickstart):
    folder, _ = quickstart
    told = json.loads(run(folder, "tune-distill", "front", "quickstart", "--json").stdout)
    assert [t["number"] for t in told["trials"] if t["on_front"]] == told["front"]
    assert "complete" in run(folder, "tune-distill", "status", "quickstart").stdout
    again = run(folder, "tune-distill", "search", "search_spaces/quickstart.yaml")
    assert len(list(folder.glob("studies/quickstart/trials/*"))) == 12, again.stderr
    knee = str(told["knee"])
    asked = ["--seeds", "2", "--trial", knee, "--controls", "none", "--attacked-rows", "50"]
    confirmed = run(folder, "tune-distill", "confirm", "quickstart", *asked, "--json")
    assert json.loads(confirmed.stdout)["seeds"] == 2
    assert (folder / "studies/quickstart/confirm.html").is_file()
    (student,) = folder.glob("students/quickstart-knee")
    done = run(folder, "tune-distill", "train", str(student / "student.yaml"), "--to", "again")
    assert "the same in every measure as" in done.stderr
