"""The story of a search: lock the folder, admit the document, prepare, run, stand back.

Everything that matters is on disk before the next step is taken: the document, each draw (Optuna's
journal), each rung and record (the trial's folder). So a search may be killed at any moment, and
the same command goes on with what is missing. Ray Tune's own state is never read again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.launch.listeners import Audience, Listener
from tune_distill.launch.nodes import Node, alive, require_shared
from tune_distill.launch.preparing import Kept, Prepare, on_cluster
from tune_distill.launch.resume import admit
from tune_distill.launch.rounds import Rounds
from tune_distill.launch.session import Session, ray_ahead, ray_session
from tune_distill.launch.standing import Standing
from tune_distill.launch.worker import Inputs, Job, ReadRungs, Run
from tune_distill.scheduler import EarlyStopping
from tune_distill.searcher import AskTell, Given, add_known, open_study
from tune_distill.space import Params
from tune_distill.spec import ResourceSpec, StudySpec, dump
from tune_distill.spec.stopping import StoppingSpec
from tune_distill.storage import at

Listen = Callable[[StudyFolder, Inputs], AbstractContextManager[Sequence[Listener]]]


def search(
    spec: StudySpec,
    document: Mapping[str, Any],
    storage: Path | str,
    *,
    prepare: Prepare[Inputs],
    run: Run[Inputs],
    read_rungs: ReadRungs,
    infeasible: Callable[[Inputs, Params], list[str]] = lambda _inputs, _params: [],
    known: Callable[[Inputs, Params], Mapping[str, float]] = lambda _inputs, _params: {},
    listen: Listen[Inputs] = lambda _folder, _inputs: nullcontext(()),
    check: Callable[[Sequence[Node]], None] = lambda _nodes: None,
    say: Callable[[str], None] = lambda _line: None,
    address: str | None = None,
    num_cpus: int | None = None,
    fresh: bool = False,
    temporary: Path | None = None,
    preload: Sequence[str] = (),
) -> Standing:
    """Runs a study, or what is left of it.

    Args:
        spec: the study.
        document: what `spec` was read from, overrides applied; kept as study.yaml.
        storage: the folder of all studies, or the URL of an object store's.
        prepare: makes, once, what all trials need; on a cluster a task does it.
        run: a trial, on a worker; a function that can be pickled.
        read_rungs: what a trial has reported so far, from its folder.
        infeasible: the reasons why a draw must not be trained; none for a good one.
        known: what a draw measures whatever it learns, by the names in `Outcome`.
        listen: opens the listeners, once the folder is locked, and closes them.
        check: looks at a cluster's nodes before anything is done; raises if they won't do.
        say: gets a line now and then, for people.
        address: of a Ray cluster; None runs on this machine.
        num_cpus: of this machine, for Ray; None is all.
        fresh: moves the study's folder aside and begins again.
        temporary: Ray's folder for sockets and logs.
        preload: modules that workers on this machine import while all is prepared, if most will
            have trials.

    Returns:
        The trials and their front.

    Raises:
        SpecError: the folder holds another study, or isn't seen from all nodes; or a trial fits no
            machine.
        NoFeasibleStudent: no draw of the space can be trained.
        TuneDistillError: another search runs the study; or its trials fail, all in the same way.
        KeyboardInterrupt: Ctrl-C; all that was done is kept.
    """
    folder = at(storage).study(spec.name).resolved()
    if fresh and folder.begun():
        with folder.locked(say):
            say(f"{folder.shown} is kept as {folder.set_aside()}")
    with folder.locked(say):
        admit(folder, document)
        ahead = _session(spec, folder, address, num_cpus, temporary, preload)
        with ahead as session, ExitStack() as stack:
            inputs = _prepared(prepare, check, spec, folder, say, address)
            listeners = stack.enter_context(listen(folder, inputs))

            def ask(**calls: Any) -> AskTell:  # noqa: ANN401 - `Asker`'s own
                refused = partial(infeasible, inputs)
                study = open_study(folder, spec, partial(known, inputs), refused)
                add_known(study, folder, spec, say)
                return AskTell(study, spec, folder, infeasible=refused, **calls)

            job = Job(dump(document), folder, inputs, run, read_rungs)
            early = EarlyStopping(spec, partial(known, inputs))
            rounds = Rounds(spec, job, Audience(listeners, say), say, ask, early)
            return rounds.run(session, elastic=address is not None)


def repeat(
    spec: StudySpec,
    document: Mapping[str, Any],
    trials: Mapping[int, Params],
    folder: StudyFolder,
    inputs: Inputs,
    *,
    run: Run[Inputs],
    read_rungs: ReadRungs,
    listen: Listen[Inputs] = lambda _folder, _inputs: nullcontext(()),
    say: Callable[[str], None] = lambda _line: None,
    address: str | None = None,
    num_cpus: int | None = None,
    temporary: Path | None = None,
) -> Standing:
    """Runs trials that are known beforehand, or what is left of them; none is stopped early.

    Args:
        spec: the study that they are of.
        document: what `spec` was read from.
        trials: the parameters of each, with its seed, by number.
        folder: where they go; the records of others that are there stay, and count.
        inputs: what all trials need.
        run: as in `search`, as are the rest.
        read_rungs: as in `search`.
        listen: as in `search`.
        say: as in `search`.
        address: as in `search`.
        num_cpus: as in `search`.
        temporary: as in `search`.

    Raises:
        SpecError: a trial fits no machine.
        TuneDistillError: another process runs them; or they fail, all in the same way.
        KeyboardInterrupt: Ctrl-C; all that was done is kept.
    """
    with folder.locked(say):
        total = len({*trials, *(record.number for record in folder.records())})
        whole = {"trials": total, "max_hours": None, "stop_early": StoppingSpec()}
        budget = spec.search.model_copy(update=whole)
        spec = spec.model_copy(update={"search": budget})
        write_atomically(folder.study, dump(document))
        folder.sync()
        with listen(folder, inputs) as listeners:
            job = Job(dump(document), folder, inputs, run, read_rungs)
            ask = partial(Given, trials, folder)
            early = EarlyStopping(spec, lambda _params: {})
            rounds = Rounds(spec, job, Audience(listeners, say), say, ask, early)
            session = partial(ray_session, spec.resources, address, num_cpus, temporary)
            return rounds.run(session, elastic=address is not None)


def _session(
    spec: StudySpec,
    folder: StudyFolder,
    address: str | None,
    num_cpus: int | None,
    temporary: Path | None,
    preload: Sequence[str],
) -> AbstractContextManager[Session]:
    """Ray for the trials that are left; on this machine it starts beside what comes before them."""
    left = spec.search.trials - len(folder.records())
    if address is None and left > 0:
        needed = preload if _most_work(spec.resources, left, num_cpus) else ()
        return ray_ahead(spec.resources, num_cpus, temporary, needed)
    return nullcontext(partial(ray_session, spec.resources, address, num_cpus, temporary))


def _most_work(resources: ResourceSpec, trials: int, num_cpus: int | None) -> bool:
    """Whether half of the workers that Ray starts at once, one a processor, will have a trial."""
    cpus = num_cpus or os.cpu_count() or 1
    slots = cpus / resources.cpus_per_trial
    at_once = min(slots, trials, resources.concurrent or slots)
    return not resources.gpus_per_trial and cpus <= 2 * at_once  # of GPUs there are fewer


def _prepared(
    prepare: Prepare[Inputs],
    check: Callable[[Sequence[Node]], None],
    spec: StudySpec,
    folder: StudyFolder,
    say: Callable[[str], None],
    address: str | None,
) -> Inputs:
    """What all trials need; made in this process, or on a node of the cluster."""
    keeping = Kept(prepare, folder)
    if address is None:
        return keeping(spec, folder.cache, say).opened()
    with ray_session(spec.resources, address):
        nodes = alive()
        check(nodes)
        if not folder.everywhere:
            require_shared(folder.path, nodes)
        return on_cluster(keeping, spec, folder.cache, say).opened(light=True)
