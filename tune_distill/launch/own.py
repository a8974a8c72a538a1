"""A Ray of our own on this machine: on loopback, its first workers ready when trials are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import ray
from ray._private import ray_constants
from ray.tune.execution import class_cache


@contextmanager
def own_ray(
    env: Mapping[str, str],
    num_cpus: int | None,
    temporary: Path | None,
    preload: Sequence[str],
    **more: Any,  # noqa: ANN401 - `ray.init`'s own
) -> Iterator[None]:
    """Within, a Ray whose workers inherit their environment (`_first_workers` says why).

    Args:
        env: of its workers.
        num_cpus: None takes the machine's.
        temporary: where it keeps sockets and logs; None is its own default.
        preload: modules that its workers import before they have a trial.
        more: for `ray.init`.
    """
    if temporary:
        more["_temp_dir"] = str(temporary)
    if preload:
        more["_system_config"] = {
            "preload_python_modules": list(preload),
            # Else they end when Tune has reserved the processors, just before it has actors.
            "idle_worker_killing_time_threshold_ms": 86_400_000,
        }
    with _first_workers():
        with _loopback(), environment(env):
            ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **more)
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables within, where the user has not set them; as they were, after."""
    added = [name for name in values if name not in os.environ]
    os.environ.update({name: values[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def replaced(module: ModuleType, **values: Any) -> Iterator[None]:  # noqa: ANN401 - of any kind
    """Names of another's module within; as they were, after."""
    before = {name: getattr(module, name) for name in values}
    vars(module).update(values)
    try:
        yield
    finally:
        vars(module).update(before)


@contextmanager
def _first_workers() -> Iterator[None]:
    """Within, Tune's first actors get the workers that Ray starts at once, one a processor.

    Tune asks for actors with an environment of their own, for which Ray starts others: ten seconds
    of every slot. What it would set, all our workers inherit, save a switch of Lightning's.
    """
    empty = {"DEFAULT_ENV_VARS": {}, "ENV_VARS_TO_PROPAGATE": set[str]()}
    known = {name: value for name, value in empty.items() if hasattr(class_cache, name)}
    with replaced(class_cache, **known):
        yield


@contextmanager
def _loopback() -> Iterator[None]:
    """Ray on 127.0.0.1 within.

    On Linux it binds every interface, and maps `_node_ip_address="127.0.0.1"` to the outward
    address. Only where it may form no cluster (its default on macOS and Windows) it stays inside;
    it reads that from the environment when it is imported, which may be long ago.
    """
    off = environment({ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"})
    with replaced(ray_constants, ENABLE_RAY_CLUSTER=False), off:
        yield
