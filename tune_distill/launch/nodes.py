"""Whether all nodes of a cluster see a study's folder: a marker file, looked for on each.

A trial's worker writes into the folder; on a node that has a folder of its own by that name, the
students would be lost to everybody else.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tune_distill.errors import SpecError
from tune_distill.track.uri import served


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    id: str
    name: str


Look = Callable[[Sequence[Node], Path], Sequence[bool]]  # which of the nodes see a file


def alive() -> list[Node]:
    """The nodes that are there now; an autoscaled cluster may grow, see `worker.work`."""
    return [
        Node(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})")
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def look(nodes: Sequence[Node], file: Path) -> list[bool]:
    """Looks for a file on each node, by a task that takes none of its processors."""

    def there() -> bool:
        return file.is_file()

    task = ray.remote(num_cpus=0)(there)
    asked = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False))
        for node in nodes
    ]
    found: list[bool] = ray.get([one.remote() for one in asked])
    return found


def require_server(uri: str | None, nodes: Sequence[Node]) -> None:
    """Makes sure that the runs of a search on several nodes go to a server.

    Raises:
        SpecError: they would go to a file.
    """
    if len(nodes) > 1 and not served(uri):
        raise SpecError(
            f"a search on a cluster of {len(nodes)} nodes needs --tracking-uri http://MLFLOW:5000: "
            "its runs would go to a SQLite file in the shared folder, which network file systems "
            "do not lock reliably, and which nobody else could read while it runs"
        )


def require_shared(folder: Path, nodes: Sequence[Node], look: Look = look) -> None:
    """Makes sure that all nodes see a folder; nothing is asked of a single one.

    Raises:
        SpecError: some don't; names them.
    """
    if len(nodes) < 2:
        return
    marker = folder / f".seen-{uuid.uuid4().hex}"
    marker.touch()
    try:
        blind = [n.name for n, seen in zip(nodes, look(nodes, marker), strict=True) if not seen]
    finally:
        marker.unlink()
    if blind:
        shown = ", ".join(blind[:3]) + (f" and {len(blind) - 3} more" if blind[3:] else "")
        raise SpecError(
            f"{folder}: is not seen from {len(blind)} of the cluster's {len(nodes)} nodes "
            f"({shown}), so what trials write there would be lost; give --storage a folder that "
            "is mounted under the same path on every node (NFS)"
        )
