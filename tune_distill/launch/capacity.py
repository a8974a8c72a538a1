"""How many trials may be in flight: those that fit, and more while a cluster may still grow.

An autoscaler adds nodes for what waits for one, so on a cluster as many trials wait as run, until
its size has stayed the same for `PATIENCE`: none is then drawn before it has a place, and each draw
knows all results that it can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import ray

from tune_distill.errors import SpecError
from tune_distill.spec import ResourceSpec

PATIENCE = 600.0  # seconds; a cloud's node is there, and set up, well before
LOOK = 5.0  # seconds between looks at the cluster


class Capacity:
    """Call it for the number of trials that may be in flight now.

    Args:
        resources: of the study; what it says of `concurrent` is taken as it is.
        elastic: whether Ray may still grow: then a trial that fits nowhere yet is no mistake.
        have: the amounts that Ray has, by resource.
        clock: seconds.

    Raises:
        SpecError: a trial asks for more than there is.
    """

    def __init__(
        self,
        resources: ResourceSpec,
        elastic: bool,
        *,
        have: Callable[[], Mapping[str, float]] = ray.cluster_resources,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resources, self._elastic, self._have, self._clock = resources, elastic, have, clock
        self._looked = self._changed = clock()
        self._fits = self._count()
        if self._fits < 1 and not elastic:
            raise SpecError(self._too_little())

    def __call__(self) -> int:
        """At least 1."""
        if self._resources.concurrent:
            return self._resources.concurrent
        if not self._elastic:
            return self._fits
        now = self._clock()
        if now - self._looked >= LOOK:
            before, self._fits, self._looked = self._fits, self._count(), now
            self._changed = now if self._fits != before else self._changed
        waiting = self._fits if now - self._changed < PATIENCE else 0
        return max(1, self._fits + waiting)

    def _count(self) -> int:
        """How many trials fit into what Ray has."""
        have = self._have()
        return int(min(have.get(kind, 0.0) / need for kind, need in self._asked().items() if need))

    def _asked(self) -> dict[str, float]:
        """By a trial."""
        resources = self._resources
        return {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}

    def _too_little(self) -> str:
        have, asked = self._have(), self._asked()
        found = ", ".join(f"{have.get(kind, 0):g} {kind}" for kind in asked)
        wanted = ", ".join(f"{need:g} {kind}" for kind, need in asked.items() if need)
        return f"resources: a trial asks for {wanted}, and there are {found}"
