"""Ray for the length of a search: quiet, on loopback, and gone afterwards."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray._private import worker

from tune_distill.errors import SpecError
from tune_distill.launch.own import environment, own_ray, replaced
from tune_distill.spec import ResourceSpec

DRIVER = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a box even when it is to be silent
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by default; it warns otherwise
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # we keep our own records
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `interruptible` is ours
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # all trials in one file, which we never read
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # `Capacity` says how many; by itself, Tune starts one
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # they are in the trials' records
    "TUNE_WARN_THRESHOLD_S": "60",
}
WORKER = {
    "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads slow each other down 5 to 10 times
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of a study mean the same everywhere
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",  # an actor that is not reused loses its trial
}

Session = Callable[[], AbstractContextManager[None]]  # Ray within, when it is called and entered


@contextmanager
def ray_session(
    resources: ResourceSpec,
    address: str | None = None,
    num_cpus: int | None = None,
    temporary: Path | None = None,
    preload: Sequence[str] = (),
) -> Iterator[None]:
    """Ray within: the caller's if it runs already, else a cluster's, else one of our own.

    Args:
        resources: what a trial gets; its threads are set from it.
        address: of a cluster; None starts Ray in this process.
        num_cpus: of our own Ray; None takes the machine's.
        temporary: where Ray keeps sockets and logs; None is its own default.
        preload: modules that the workers of our own Ray import before they have a trial.

    Raises:
        SpecError: the address is one that cannot carry a search, or nothing answers there.
    """
    if address and address.startswith("ray://"):
        raise SpecError(
            f"--address {address}: a search cannot drive Tune through Ray's client; run it on "
            "the cluster (tune-distill submit), or there with --address auto"
        )
    with environment(DRIVER), _quiet():
        if ray.is_initialized():
            yield
            return
        env = {**WORKER, "OMP_NUM_THREADS": str(resources.threads)}
        silent: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address:
            running = _cluster(address, env, **silent)
        else:
            running = own_ray(env, num_cpus, temporary, preload, **silent)
        with running:
            yield


@contextmanager
def ray_ahead(
    resources: ResourceSpec,
    num_cpus: int | None = None,
    temporary: Path | None = None,
    preload: Sequence[str] = (),
) -> Iterator[Session]:
    """Begins to start a Ray of our own; entering what this yields waits until it is there.

    A thread of its own does so, and stays until the end: Linux ends Ray's processes with the thread
    that started them (PR_SET_PDEATHSIG).
    """
    if ray.is_initialized():
        yield partial(ray_session, resources)
        return
    there, over, faults = threading.Event(), threading.Event(), list[BaseException]()

    def hold() -> None:
        try:
            with ray_session(resources, None, num_cpus, temporary, preload):
                there.set()
                over.wait()
        except BaseException as fault:
            faults.append(fault)
        finally:
            there.set()

    @contextmanager
    def session() -> Iterator[None]:
        there.wait()
        if faults:
            raise faults[0]
        try:
            yield
        finally:  # wait: a handle that is dropped while Ray shuts down ends the whole process
            over.set()
            thread.join()

    thread = threading.Thread(target=hold, name="tune-distill-ray", daemon=True)
    thread.start()
    try:
        yield session
    finally:
        over.set()
        thread.join()
    if faults:  # it did not end as it should
        raise faults[0]


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C (or SIGTERM) sets; the second ends the process at once.

    Outside the main thread, which alone may handle signals, nothing sets it.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(number: int, frame: FrameType | None) -> None:
        event.set()
        for each in before:
            signal.signal(each, signal.SIG_DFL)

    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, stop)
    try:
        yield event
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _cluster(address: str, env: Mapping[str, str], **more: Any) -> Iterator[None]:  # noqa: ANN401
    """Within, a cluster; its workers start with this environment."""
    try:
        ray.init(address=address, runtime_env={"env_vars": dict(env)}, **more)
    except ConnectionError as error:
        raise SpecError(
            f"--address {address}: no Ray cluster answers ({error}); `ray status` on its head "
            "says whether it runs, and `auto` there finds it"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray's and Tune's talk in the log, where who wants it finds it: stdout is data, stderr ours.

    What Tune says of trials is in our records. Ray prints a raylet's messages to stdout, however it
    is asked not to print logs (`listen_error_messages` in its worker.py).
    """
    loggers = [logging.getLogger(name) for name in ("ray.tune", "ray.train", "ray.air")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with replaced(worker, print_to_stdstream=_log):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _log(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
    logging.getLogger("ray").info("%s: %s", data.get("pid"), "\n".join(data.get("lines", ())))
