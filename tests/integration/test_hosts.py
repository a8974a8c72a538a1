"""A search on hosts of their own: network namespaces, one Ray each, one MLflow server, one folder.

Each host has its own network stack, addresses and place for Ray's files, so nothing can meet but
over the network and in the shared storage. Needs root and `ip`, and a minute or two.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests import tiny
from tests.integration.test_cli import STUDY
from tune_distill.folder import StudyFolder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None,
        reason="network namespaces need root and ip",
    ),
]
HEAD, PORT, TRACKING = "10.77.0.1", 6379, 5000
BIN = Path(sys.executable).parent
TRIALS = 10
COMMAND = (BIN / "tune-distill", "search", "tiny.yaml", "--storage", "shared")


class Hosts:
    """Namespaces behind one switch, and what runs in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{"RAY_USAGE_STATS_ENABLED": "0", "NO_PROXY": "*"},
            **{"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)},
        }
        self.running: dict[str, list[subprocess.Popen[bytes]]] = {}
        self.switch = f"td{os.getpid()}"
        _do("ip", "netns", "add", self.switch)
        self._in(self.switch, "ip", "link", "add", "switch", "type", "bridge")
        self._in(self.switch, "ip", "link", "set", "switch", "up")

    def add(self, number: int) -> str:
        """A host with the address 10.77.0.`number`; its name."""
        name = f"{self.switch}h{number}"
        _do("ip", "netns", "add", name)
        _do("ip", "link", "add", "eth0", "netns", name, "type", "veth",
            "peer", "name", f"port{number}", "netns", self.switch)  # fmt: skip
        self._in(self.switch, "ip", "link", "set", f"port{number}", "master", "switch", "up")
        self._in(name, "ip", "address", "add", f"10.77.0.{number}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self._in(name, "ip", "link", "set", device, "up")
        self._in(name, "ip", "route", "add", "default", "dev", "eth0")
        self.running[name] = []
        return name

    def start(self, host: str, *command: object, log: str) -> subprocess.Popen[bytes]:
        """Starts a command on a host, whose /tmp/ray is its own."""
        own = self.folder / host
        own.mkdir(exist_ok=True)
        Path("/tmp/ray").mkdir(exist_ok=True)
        mounted = f'mount --make-rprivate / && mount --bind {own} /tmp/ray && exec "$@"'
        process = subprocess.Popen(
            ["ip", "netns", "exec", host, "unshare", "-m", "sh", "-c", mounted, "sh"]
            + [str(part) for part in command],
            cwd=self.folder,
            stdout=(self.folder / f"{log}.out").open("wb"),
            stderr=(self.folder / f"{log}.err").open("wb"),
            env={**os.environ, **self.environment},
            start_new_session=True,
        )
        self.running[host].append(process)
        return process

    def node(self, number: int, *more: str) -> str:
        """A host that joins the cluster."""
        host = self.add(number)
        self.start(
            host, BIN / "ray", "start", "--block", f"--node-ip-address=10.77.0.{number}", *more,
            log=f"node{number}",
        )  # fmt: skip
        return host

    def lose(self, host: str) -> None:
        """A host that is gone from one moment to the next, and whatever ran there."""
        listed = subprocess.run(["ip", "netns", "pids", host], capture_output=True, check=True)
        for pid in listed.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        for process in self.running.pop(host):
            process.wait()
        _do("ip", "netns", "del", host)

    def close(self) -> None:
        """All of them."""
        for host in list(self.running):
            self.lose(host)
        _do("ip", "netns", "del", self.switch)

    @staticmethod
    def _in(host: str, *command: str) -> None:
        _do("ip", "netns", "exec", host, *command)


def _do(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    made = Hosts(tmp_path)
    yield made
    made.close()


def until(holds: Callable[[], bool], seconds: float, *alive: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in alive)
        time.sleep(0.2)


def test_a_search_over_three_hosts_outlives_one_of_them(hosts, tmp_path):
    tiny.write_task(tmp_path)
    tiny.write_teacher(tmp_path / "teacher")

    def joined(number: int) -> bool:
        return "--block" in (tmp_path / f"node{number}.out").read_text()

    study = yaml.safe_load(STUDY)
    study["search"]["trials"] = TRIALS
    study["space"]["train"]["epochs"] = 40  # long enough to be in flight when its host is lost
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(study))
    head = hosts.node(1, "--head", f"--port={PORT}", "--num-cpus=0", "--include-dashboard=false")
    hosts.start(
        head, BIN / "mlflow", "server", "--host", HEAD, "--port", TRACKING, "--workers", 1,
        "--allowed-hosts", "*", "--backend-store-uri", f"sqlite:///{tmp_path / 'runs.db'}",
        "--artifacts-destination", tmp_path / "artifacts", log="mlflow",
    )  # fmt: skip
    until(lambda: joined(1), 60)
    joining = ("--num-cpus=1", f"--address={HEAD}:{PORT}")
    lost = hosts.node(2, *joining)
    hosts.node(3, *joining)
    until(lambda: joined(2) and joined(3), 60)
    address = ("--address", f"{HEAD}:{PORT}")

    untracked = hosts.start(head, *COMMAND, *address, log="untracked")
    assert untracked.wait(timeout=120) == 2
    assert b"cluster of 3 nodes needs --tracking-uri" in (tmp_path / "untracked.err").read_bytes()

    server = ("--tracking-uri", f"http://{HEAD}:{TRACKING}")
    search = hosts.start(head, *COMMAND, *address, *server, log="search")
    folder = StudyFolder(tmp_path / "shared" / "tiny")
    until(lambda: len(folder.records()) >= 3, 300, search)
    before = {record.number: record for record in folder.records()}
    hosts.lose(lost)
    hosts.node(4, *joining)
    assert search.wait(timeout=400) == 0, (tmp_path / "search.err").read_text()
    assert [record.state for record in folder.records()] == ["complete"] * TRIALS
    assert {number: folder.read(number) for number in before} == before
    said = (tmp_path / "search.err").read_text()
    assert "its worker was lost; it goes on from its last checkpoint" in said
    assert runs(tmp_path / "runs.db") == ["FINISHED"] * (TRIALS + 1)


def runs(database: Path) -> list[str]:
    """The states of the trials' runs and the study's, as the server filed them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    found = [
        run
        for one in client.search_experiments()
        for run in client.search_runs([one.experiment_id])
        if run.data.tags.get("mlflow.runName", "").startswith(("trial", "tiny"))
    ]
    return [run.info.status for run in found]
