"""A bucket's mirror: what is torn or damaged is never taken for whole, what is there not sent."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests import toy_study
from tune_distill.errors import SpecError, StorageError, TuneDistillError
from tune_distill.lock import Owner
from tune_distill.spec import resolve
from tune_distill.storage import ROOT, Mirror, StudyInBucket, at, lease
from tune_distill.storage.bucket import Bucket
from tune_distill.storage.lease import Lease
from tune_distill.storage.repeating import Repeating


@pytest.fixture
def bucket(tmp_path):
    """The bucket's folder."""
    return tmp_path / "bucket"


@pytest.fixture
def machine(tmp_path, bucket, monkeypatch):
    """Makes mirrors of machines, by name."""

    def of(name: str) -> Mirror:
        monkeypatch.setenv(ROOT, str(tmp_path / name))
        mirror = at(f"file://{bucket}").mirror
        assert mirror
        assert mirror.root.is_relative_to(tmp_path / name)
        return mirror

    return of


@pytest.fixture
def sent(monkeypatch):
    """The names of the objects that are written."""
    names: list[str] = []
    write = Bucket.write

    def noted(self, name, content):
        names.append(name)
        write(self, name, content)

    monkeypatch.setattr(Bucket, "write", noted)
    return names


def entry(mirror: Mirror, **files: str) -> Path:
    path = mirror.root / "cache" / "signals" / "abc"
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def test_a_folder_arrives_whole_and_is_sent_once(machine, sent):
    first = machine("first")
    path = entry(first, a="alpha", b="beta")
    digest = first.push_whole(path)
    assert sorted(sent[:2]) == ["cache/signals/abc/a", "cache/signals/abc/b"]
    assert sent[2:] == ["cache/signals/.abc.whole"]  # after what it vouches for
    assert first.push_whole(path) == first.known(path) == digest
    assert len(sent) == 3
    second = machine("second")
    place = second.root / "cache" / "signals" / "abc"
    assert second.pull_whole(place, digest)
    assert {f.name: f.read_text() for f in place.iterdir()} == {"a": "alpha", "b": "beta"}
    assert not second.pull_whole(place, "of another")


def test_a_manifest_alone_comes_to_who_reads_no_content(machine):
    first, second = machine("first"), machine("second")
    digest = first.push_whole(entry(first, a="alpha"))
    place = second.root / "cache" / "signals" / "abc"
    assert second.pull_whole(place, digest, content=False)
    assert not place.exists()
    assert second.known(place) == digest
    assert second.pull_whole(place, digest)
    assert (place / "a").read_text() == "alpha"


def test_a_file_travels_as_a_folder_does(machine):
    first, second = machine("first"), machine("second")
    file = entry(first, a="alpha") / "a"
    digest = first.push_whole(file)
    assert second.pull_whole(second.root / first.name(file), digest)
    assert (second.root / first.name(file)).read_text() == "alpha"


def test_a_torn_upload_is_not_taken_for_whole(machine, monkeypatch):
    first, second = machine("first"), machine("second")
    path = entry(first, a="alpha", b="beta")
    place = second.root / "cache" / "signals" / "abc"
    write = Bucket.write

    def cut(self, name, content):
        if name.endswith(("b", ".whole")):
            raise StorageError("cut")
        write(self, name, content)

    monkeypatch.setattr(Bucket, "write", cut)
    with pytest.raises(StorageError, match="cut"):
        first.push_whole(path)
    assert not second.pull_whole(place)
    assert not place.exists()
    monkeypatch.undo()


def test_an_upload_torn_over_an_older_one_is_neither(machine, tmp_path, bucket):
    first, second = machine("first"), machine("second")
    path = entry(first, a="alpha", b="beta")
    first.push_whole(path)
    place = second.root / "cache" / "signals" / "abc"
    (bucket / "cache/signals/abc/a").write_text("ALPHA")  # the newer one's first file
    assert not second.pull_whole(place)
    assert not place.exists()


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_a_damaged_object_is_found_and_uploaded_again_by_who_has_it(machine, bucket, damage):
    first, second = machine("first"), machine("second")
    path = entry(first, a="alpha", b="beta")
    digest = first.push_whole(path)
    object_ = bucket / "cache/signals/abc/b"
    if damage == "gone":
        object_.unlink()
    else:
        object_.write_text("betb" if damage == "flipped" else "be")
    place = second.root / "cache" / "signals" / "abc"
    assert not second.pull_whole(place, digest)
    assert first.push_whole(path) == digest
    assert second.pull_whole(place, digest)
    assert (place / "b").read_text() == "beta"


def test_files_are_sent_when_they_changed_and_in_the_order_they_were_written(machine, sent):
    mirror = machine("first")
    folder = mirror.root / "s"
    folder.mkdir(parents=True)
    files = [folder / name for name in "abc"]
    for age, file in enumerate(files):
        file.write_text("x")
        os.utime(file, ns=(0, 100 - age))  # c is the oldest
    mirror.push(files)
    assert sent == ["s/c", "s/b", "s/a"]
    (folder / "b").write_text("y")
    mirror.push([*files, folder / "not there"])
    assert sent[3:] == ["s/b"]


def test_a_pull_makes_what_is_wanted_as_it_is_in_the_bucket(machine, bucket):
    first, second = machine("first"), machine("second")
    (first.root / "s").mkdir(parents=True)
    (first.root / "s" / "kept").write_text("1")
    first.push([first.root / "s" / "kept"])
    here = second.root / "s"
    here.mkdir(parents=True)
    for name in ("kept", "stale", "mine"):
        (here / name).write_text("old")
    second.pull(here, lambda name, _: name != "mine")
    assert {f.name: f.read_text() for f in here.iterdir()} == {"kept": "1", "mine": "old"}


def test_who_looks_at_a_study_disturbs_nothing_that_runs_on_the_machine(machine, quick):
    first = machine("first")
    driver, reader = (StudyInBucket(first.root / "toy", Mirror(first.url)) for _ in range(2))
    ended, running, gone = (driver.trial(number) for number in range(3))
    for trial in (ended, running, gone):
        trial.mkdir(parents=True)
        (trial / "params.json").write_text("{}")
        (trial / "trial.json").write_text("{}")
    (driver.path / "journal.log").write_text("old")
    first.push([running / "params.json", *ended.iterdir(), driver.path / "journal.log"])
    (driver.path / "journal.log").write_text("newer than the bucket's")
    reader.pull()
    assert (running / "trial.json").is_file()  # just written, and not pushed yet
    assert not list(gone.iterdir())  # of an older study
    assert (driver.path / "journal.log").read_text() == "newer than the bucket's"
    with driver.locked():  # the bucket is the truth
        assert not (running / "trial.json").exists()
        assert (driver.path / "journal.log").read_text() == "old"
        (driver.path / "front.json").write_text("new")
        reader.pull()
        assert (driver.path / "front.json").read_text() == "new"
    other = machine("second")
    found = StudyInBucket(other.root / "toy", other)
    found.pull()
    assert (found.path / "front.json").read_text() == "new"


def test_a_study_and_its_mirror_are_those_of_the_machine_that_unpickles_them(
    machine, tmp_path, monkeypatch
):
    from tune_distill.launch.carry import Carried, pack

    first = machine("first")
    folder = StudyInBucket(first.root / "toy", first)
    path = entry(first, a="alpha")
    outside = tmp_path / "outside"
    packed = pack({"signals": path, "other": outside, "folder": folder}, folder)
    assert isinstance(packed, Carried)
    assert list(packed.named) == ["cache/signals/abc"]
    monkeypatch.setenv(ROOT, str(tmp_path / "second"))
    packed = Carried(Mirror(first.url), packed.content, packed.named)
    found = packed.opened(light=True)
    assert found["other"] == outside
    assert found["signals"].is_relative_to(tmp_path / "second")
    assert not found["signals"].exists()  # a driver opens no signals
    assert (packed.opened()["signals"] / "a").read_text() == "alpha"
    assert (
        found["folder"].path
        == tmp_path / "second" / first.root.relative_to(tmp_path / "first") / "toy"
    )


def test_what_one_study_made_is_lent_to_the_next_of_its_task_and_teacher(machine):
    first, second = machine("first"), machine("second")
    spec = resolve(toy_study.document())
    StudyInBucket(first.root / "toy", first).lend(
        spec, [entry(first, a="alpha"), first.root.parent]
    )
    other = spec.model_copy(update={"name": "other"})
    StudyInBucket(second.root / "other", second).borrow(other)
    assert (second.root / "cache/signals/abc/a").read_text() == "alpha"
    third = machine("third")
    task = spec.task.model_copy(update={"max_length": 99})
    StudyInBucket(third.root / "toy", third).borrow(spec.model_copy(update={"task": task}))
    assert not (third.root / "cache").exists()


def of(bucket, pid: int) -> Lease:
    return Lease(Bucket(f"file://{bucket}"), "toy/lock", "toy", Owner("host", pid, "then"))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lease, "STALE", 0.5)
    monkeypatch.setattr(lease, "PAUSE", 0.05)


def test_a_lease_that_is_renewed_is_refused_with_its_owners_name(bucket, quick):
    first, said = of(bucket, 1), []
    first.take(None, said.append)
    assert not said
    with (
        Repeating(0.1, first.renew),
        pytest.raises(TuneDistillError, match=r"process 1 on host, since then"),
    ):
        of(bucket, 2).take(None, said.append)
    assert len(said) == 1


def test_a_lease_that_is_not_renewed_is_taken_and_its_owner_told_if_it_lives(bucket, quick):
    first, second = of(bucket, 1), of(bucket, 2)
    first.take(None, lambda _: None)
    began = time.monotonic()
    second.take(None, lambda _: None)
    assert 0.5 <= time.monotonic() - began < 5
    with pytest.raises(StorageError, match="process 2 on host"):
        first.renew()
    first.release()  # not its own any more
    assert lease.owner(second.bucket, "toy/lock") == second.me
    second.release()
    assert lease.owner(second.bucket, "toy/lock") is None


def test_an_owner_that_the_kernel_knows_to_be_dead_is_not_waited_for(bucket, monkeypatch):
    monkeypatch.setattr(lease, "PAUSE", 0.05)
    first, second = of(bucket, 1), of(bucket, 2)
    first.take(None, lambda _: None)
    began = time.monotonic()
    second.take(first.me, lambda _: None)  # what its lock on this machine says
    assert time.monotonic() - began < 5


def test_of_two_that_write_at_once_the_last_goes_on(bucket, monkeypatch):
    monkeypatch.setattr(lease, "PAUSE", 0.2)
    first, second = of(bucket, 1), of(bucket, 2)
    sleep = time.sleep

    def while_waiting(seconds):
        monkeypatch.setattr(lease.time, "sleep", sleep)
        Bucket(first.bucket.url).write("toy/lock", json.dumps(vars(second.me)).encode())

    monkeypatch.setattr(lease.time, "sleep", while_waiting)
    with pytest.raises(TuneDistillError, match="process 2 on host"):
        first.take(None, lambda _: None)


def test_an_error_in_the_background_is_raised_when_asked_for():
    def fails():
        raise StorageError("away")

    with Repeating(0.01, fails) as repeating:
        time.sleep(0.2)
        with pytest.raises(StorageError, match="away"):
            repeating.check()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nope://bucket/x", r"Unrecognized filesystem type.*give s3://BUCKET/PATH"),
        ("s3://KEYID:hidden@bucket/x", r"has credentials in it.*AWS_ACCESS_KEY_ID"),
        ("s3://bucket/x?secret_key=hidden", r"has credentials in it"),
        ("s3://bucket/x?endpoint_override=http%3A%2F%2F127.0.0.1%3A9&region=x", r"NETWORK_CONN"),
        ("file:///dev/null/x", r"Not a directory"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused_in_one_line(url, told, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(SpecError, match=rf"^--storage .*{told}") as refused:
        at(url)
    assert len(refused.value.problems) == 1
    assert "hidden" not in str(refused.value)
