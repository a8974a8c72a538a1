"""What a search does once before its trials, as one task of the cluster: where a trial could run.

The driver's own machine may be a head without a GPU. The task gets what a trial gets, writes into
the storage, and returns kilobytes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import ray
from ray.exceptions import RayTaskError

from tune_distill.folder import StudyFolder
from tune_distill.launch.carry import Carried, Plain, pack
from tune_distill.launch.worker import Inputs
from tune_distill.spec import StudySpec

Prepare = Callable[[StudySpec, Path, Callable[[str], None]], Inputs]


@dataclass(frozen=True)
class Kept(Generic[Inputs]):
    """`prepare`, around which the study's storage lends what is there and keeps what is made."""

    prepare: Prepare[Inputs]
    folder: StudyFolder

    def __call__(
        self, spec: StudySpec, cache: Path, say: Callable[[str], None]
    ) -> Plain[Inputs] | Carried[Inputs]:
        """Prepares here: the cache is this machine's."""
        self.folder.borrow(spec)
        made = self.prepare(spec, self.folder.cache, say)
        return pack(made, self.folder, spec)


def on_cluster(
    prepare: Prepare[Inputs], spec: StudySpec, cache: Path, say: Callable[[str], None]
) -> Inputs:
    """Prepares a study's trials on a node of the cluster that Ray runs on.

    Args:
        prepare: makes what all trials need; can be pickled, as can what it makes.
        spec: the study.
        cache: where it keeps things; seen from all nodes.
        say: hears what is done, a line at a time, while it is done.

    Raises:
        What `prepare` raises.
    """
    resources = spec.resources
    task = ray.remote(
        num_cpus=resources.cpus_per_trial, num_gpus=resources.gpus_per_trial, max_retries=1
    )(_talking)
    try:
        words: Any = task.options(num_returns="streaming").remote(prepare, spec, cache)
        for reference in words:
            line, made = ray.get(reference)
            if line is None:
                return made  # type: ignore[no-any-return]
            say(line)
    except RayTaskError as error:
        raise error.cause from None
    raise RuntimeError("the task ended without a result")


def _talking(
    prepare: Prepare[Any], spec: StudySpec, cache: Path
) -> Iterator[tuple[str | None, Any]]:
    """Each line that is said, then (None, what was made)."""
    lines: queue.Queue[str | None] = queue.Queue()
    ended: list[Any] = []

    def work() -> None:
        try:
            ended.append(prepare(spec, cache, lines.put))
        except BaseException as error:
            ended.append(error)
        finally:
            lines.put(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while (line := lines.get()) is not None:
        yield line, None
    thread.join()
    (made,) = ended
    if isinstance(made, BaseException):
        raise made
    yield None, made
