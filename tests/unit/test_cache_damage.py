"""An interrupted or damaged cache is never read as whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tune_distill import cache
from tune_distill.errors import TeacherError
from tune_distill.files import write_atomically
from tune_distill.signals import Needs
from tune_distill.tasks import Encoded

NEEDS = Needs(logits=True, cls=(1,), hidden=(1,))
ROWS = 20


def split() -> Encoded:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 9, ROWS)
    return Encoded(
        rng.integers(1, 30, lengths.sum()).astype(np.uint8),
        None,
        np.concatenate(([0], np.cumsum(lengths))),
        rng.integers(0, 2, ROWS),
        pad_id=0,
    )


def bert() -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=9,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForSequenceClassification(config).eval()


@pytest.fixture
def made(tmp_path) -> cache.Cached:
    return ensure(tmp_path)


def ensure(root: Path, say=lambda line: None, needs: Needs = NEEDS) -> cache.Cached:
    return cache.ensure(bert(), split(), needs, root, limit_gb=1.0, say=say)


def the(folder: Path, name: str) -> Path:
    (file,) = folder.glob(f"{name}.*.bin")
    return file


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 0b100
    file.write_bytes(data)


def truncate(folder: Path) -> None:
    with the(folder, "hidden.1").open("r+b") as file:
        file.truncate(the(folder, "hidden.1").stat().st_size - 2)


def grow(folder: Path) -> None:
    with the(folder, "hidden.1").open("ab") as file:
        file.write(b"\0")


DAMAGES = {
    "truncated": truncate,
    "a flipped bit": lambda folder: flip(the(folder, "hidden.1"), 7),
    "grown": grow,
    "no values": lambda folder: the(folder, "hidden.1").unlink(),
    "half a manifest": lambda folder: os.truncate(folder / "hidden.1.json", 40),
    "an empty manifest": lambda folder: os.truncate(folder / "hidden.1.json", 0),
    "a manifest that is a list": lambda folder: (folder / "hidden.1.json").write_text("[1]"),
    "another signal's manifest": lambda folder: (folder / "hidden.1.json").write_text(
        (folder / "cls.1.json").read_text()
    ),
    "another checksum": lambda folder: (folder / "hidden.1.json").write_text(
        (folder / "hidden.1.json").read_text().replace('"sha256": "', '"sha256": "0')
    ),
    "no checksum": lambda folder: (folder / "hidden.1.json").write_text(
        (folder / "hidden.1.json").read_text().replace("sha256", "sha")
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_signal_is_named_and_computed_again_alone(made, tmp_path, damage):
    before = made.folder.joinpath(the(made.folder, "hidden.1")).read_bytes()
    damage(made.folder)
    said: list[str] = []
    again = ensure(tmp_path, said.append)
    assert again.computed == ("hidden.1",)
    assert any("hidden.1" in line and "is damaged" in line for line in said)
    assert the(made.folder, "hidden.1").read_bytes() == before
    assert ensure(tmp_path).computed == ()


@pytest.mark.parametrize("name", ["truncated", "grown", "no values", "half a manifest"])
def test_a_trial_refuses_what_is_not_as_it_was_written(made, name):
    DAMAGES[name](made.folder)
    with pytest.raises(TeacherError, match=r"hidden\.1.*starting the search again"):
        cache.source(made.folder, bert, NEEDS)


def test_damaged_offsets_are_written_again(made, tmp_path):
    flip(the(made.folder, "offsets"), 9)
    said: list[str] = []
    assert ensure(tmp_path, said.append).computed == ()  # no pass of the teacher is needed
    assert any("offsets" in line and "is damaged" in line for line in said)
    opened = cache.TeacherSignals(made.folder, NEEDS)
    assert opened(split().batch(np.arange(ROWS)), NEEDS).hidden[1].shape[0] == ROWS


DIES = """
import os, signal, sys
sys.path.insert(0, {here!r})
from pathlib import Path
import numpy as np
import test_cache_damage as t
from tune_distill.cache import TeacherSignals, build, files

found = TeacherSignals(Path({whole!r}), t.NEEDS)(t.split().batch(np.array([3, 0])), t.NEEDS)
print(float(found.logits.sum() + found.hidden[1].sum()), flush=True)

build.WINDOW, append, count = 200, files.Writer.append, [0]
def dying(self, values):
    append(self, values)
    self._file.flush()
    count[0] += 1
    if count[0] == 9:
        os.kill(os.getpid(), signal.SIGKILL)
files.Writer.append = dying
t.ensure(Path({root!r}))
"""


def test_another_process_reads_the_folder_alone_and_leaves_nothing_whole_if_killed(made, tmp_path):
    root = tmp_path / "killed"
    code = DIES.format(here=str(Path(__file__).parent), whole=str(made.folder), root=str(root))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr

    here = cache.TeacherSignals(made.folder, NEEDS)(split().batch(np.array([3, 0])), NEEDS)
    total = float(here.logits.sum() + here.hidden[1].sum())
    assert float(done.stdout) == pytest.approx(total)

    (folder,) = (path for path in root.iterdir() if path.is_dir())
    assert len(list(folder.glob(".*.part"))) == 3
    assert not [name for name in NEEDS.names() if (folder / f"{name}.json").exists()]
    assert ensure(root).computed == NEEDS.names()
    assert not list(folder.glob(".*.part"))


def test_values_without_a_manifest_are_none(tmp_path, monkeypatch):
    def dying(path: Path, data: str | bytes) -> None:
        if path.name == "hidden.1.json":
            raise KeyboardInterrupt
        write_atomically(path, data)

    with monkeypatch.context() as patch:
        patch.setattr("tune_distill.cache.files.write_atomically", dying)
        with pytest.raises(KeyboardInterrupt):
            ensure(tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    orphan = the(folder, "hidden.1")
    orphan.rename(orphan.with_name("hidden.1.0123456789abcdef.bin"))  # as of other last bits
    assert ensure(tmp_path).computed == ("hidden.1",)
    assert the(folder, "hidden.1").name == orphan.name  # and the orphan is gone


def test_an_interrupted_build_cleans_up(tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.ensure(
            bert(), split(), NEEDS, tmp_path, limit_gb=1.0, say=lambda _: None, progress=interrupt
        )
    assert not list(tmp_path.rglob("*.part"))
    assert ensure(tmp_path).computed == NEEDS.names()


def test_two_searches_at_once_compute_it_once_between_them(tmp_path):
    results: list[cache.Cached] = []
    waits = threading.Event()
    model = bert()

    def say(line: str) -> None:
        if "waiting for another process" in line:
            waits.set()

    def second() -> None:
        results.append(cache.ensure(model, split(), NEEDS, tmp_path, limit_gb=1.0, say=say))

    thread = threading.Thread(target=second)

    def meanwhile(done: int, total: int) -> None:
        thread.start()
        assert waits.wait(timeout=60)

    first = cache.ensure(
        bert(), split(), NEEDS, tmp_path, limit_gb=1.0, say=lambda _: None, progress=meanwhile
    )
    thread.join()
    assert first.computed == NEEDS.names()
    assert [result.computed for result in results] == [()]


def test_two_searches_without_locks_do_not_mix_their_files(tmp_path, monkeypatch):
    # A file system without locks, and another search that ends while this one computes: its values
    # differ in last bits, as on another machine. Each manifest still tells of its own file.
    def no_locks(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("tune_distill.teacher.store.fcntl.flock", no_locks)
    model = bert()
    raced = []

    def other(done: int, total: int) -> None:
        if not raced:
            raced.append(1)
            ensure(tmp_path)
            (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
            flip(the(folder, "hidden.1"), 0)  # stands for other last bits, under its own name

    first = cache.ensure(
        model, split(), NEEDS, tmp_path, limit_gb=1.0, say=lambda _: None, progress=other
    )
    assert raced
    opened = cache.TeacherSignals(first.folder, NEEDS)
    batch = split().batch(np.arange(ROWS))
    live = cache.LiveTeacher(model)(batch, NEEDS)
    found = opened(batch, NEEDS)
    torch.testing.assert_close(
        found.hidden[1][found.mask], live.hidden[1][live.mask], rtol=6e-4, atol=1e-6
    )
    assert ensure(tmp_path).computed == ()
