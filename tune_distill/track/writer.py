"""Changes into MLflow's store, by `MlflowClient`; everything here may be repeated without harm.

A run is looked up by the tags `tune_distill.study_id` and `tune_distill.trial`, or
`tune_distill.teacher`, before it is created. Metrics carry the time at which they were told, and
MLflow keeps equal ones once (`SqlAlchemyStore._log_metrics_once`); params and tags are set to what
they already are.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from tune_distill.track.change import NOTE, PREFIX, DatasetUse, Folded, Run
from tune_distill.track.uri import redacted
from tune_distill.track.view import VIEW

if TYPE_CHECKING:
    from mlflow import MlflowClient

STUDY, TRIAL, TEACHER = f"{PREFIX}study_id", f"{PREFIX}trial", f"{PREFIX}teacher"
# The page opens an experiment on its runs, and not on traces, where it needn't guess the kind.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
# MLflow's own limits: mlflow/utils/validation.py.
_METRICS, _PARAMS_TAGS, _DIGEST = 500, 100, 36
# What no repetition will make acceptable; anything else is taken for a server that is away.
_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"}


class Refused(Exception):  # noqa: N818 - reads as what it is
    """MLflow will never take a change; says why."""


class Writer:
    """The runs of one study in one store."""

    def __init__(self, uri: str, experiment: str, study_id: str, artifacts: str | None) -> None:
        self._uri, self._experiment = uri, experiment
        self._study_id, self._artifacts = study_id, artifacts
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._runs: dict[Run, str] = {}

    def connect(self) -> bool:
        """Finds the study's runs; whether its own run is there. Cheap once connected."""
        if self._client is None:
            from mlflow import MlflowClient

            client = MlflowClient(self._uri)
            self._experiment_id = self._find_experiment(client)
            self._runs = dict(self._find_runs(client))
            self._client = client
        return None in self._runs

    def forget(self) -> None:
        """After a failure: a run may have been created though the answer was lost."""
        self._client = None

    def write(self, run: Run, change: Folded) -> None:
        """Makes one run what the change says.

        Raises:
            Refused: the store takes the request for a wrong one.
        """
        with _refusals():
            if run not in self._runs:
                self._create(run, change)
                if change.status == "RUNNING":  # it does already
                    change = replace(change, status="")
            self._log(self._runs[run], change)

    def upload(self, name: str, file: Path) -> None:
        """Puts a file into the study's run."""
        parent = str(PurePosixPath(name).parent)
        with _refusals():
            self._open.log_artifact(self._runs[None], str(file), None if parent == "." else parent)

    def describe(self, file: Path) -> None:
        """Makes a file's text the description of the study's run.

        {run}, {experiment} and {study} become ids: so a text can show the run's own artifacts.
        """
        with _refusals():
            text, run_id = redacted(file.read_text(encoding="utf-8")), self._runs[None]
            text = text.replace("{run}", run_id).replace("{experiment}", self._experiment_id)
            text = text.replace("{study}", self._study_id)
            self._open.set_tag(run_id, NOTE, text)

    @property
    def _open(self) -> MlflowClient:
        if self._client is None:
            raise RuntimeError("connect first")
        return self._client

    def _find_experiment(self, client: MlflowClient) -> str:
        found = client.get_experiment_by_name(self._experiment)
        if found is None:
            return str(client.create_experiment(self._experiment, self._artifacts, tags=_KIND))
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _find_runs(self, client: MlflowClient) -> Iterator[tuple[Run, str]]:
        ours, token = f"tags.`{STUDY}` = '{self._study_id}'", None
        while True:
            page = client.search_runs([self._experiment_id], ours, page_token=token)
            for run in page:
                number, teacher = run.data.tags.get(TRIAL), run.data.tags.get(TEACHER)
                yield (teacher if number is None else int(number)), run.info.run_id
            token = page.token
            if not token:
                return

    def _create(self, run: Run, change: Folded) -> str:
        tags = {STUDY: self._study_id}
        if run is not None:
            parent = self._runs.get(None) or self._create(None, Folded(change.started))
            kind = TRIAL if isinstance(run, int) else TEACHER
            tags |= {kind: str(run), "mlflow.parentRunId": parent}
        name = change.name or (self._experiment if run is None else f"trial {run}")
        created = self._open.create_run(
            self._experiment_id, start_time=change.started, tags=tags, run_name=name
        )
        self._runs[run] = str(created.info.run_id)
        return self._runs[run]

    def _log(self, run_id: str, change: Folded) -> None:
        from mlflow.entities import Metric, Param, RunTag

        params = [Param(k, v) for k, v in change.params.items()]
        tags = [RunTag(k, v) for k, v in change.tags.items() if not k.startswith(VIEW)]
        for name in change.tags.keys() - {tag.key for tag in tags}:
            self._open.set_experiment_tag(self._experiment_id, name, change.tags[name])
        metrics = [Metric(k, v, at, step) for k, v, at, step in change.metrics]
        batches = itertools.zip_longest(
            _batched(metrics, _METRICS),
            _batched(params, _PARAMS_TAGS),
            _batched(tags, _PARAMS_TAGS),
            fillvalue=(),
        )
        for some_metrics, some_params, some_tags in batches:
            self._open.log_batch(run_id, some_metrics, some_params, some_tags, synchronous=True)
        if change.datasets:
            self._open.log_inputs(run_id, [_input(d) for d in change.datasets])
        if change.status == "RUNNING":
            self._open.update_run(run_id, status="RUNNING")
        elif change.status:
            self._open.set_terminated(run_id, change.status, change.ended)


@contextlib.contextmanager
def quiet_client() -> Iterator[None]:
    """Settings under which the client neither waits for minutes nor chats; the user's own win."""
    wanted = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the sender tries again, and knows when to stop
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a line a run, and a request for it
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    ours = {k: v for k, v in wanted.items() if k not in os.environ}
    os.environ.update(ours)
    for name in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _REFUSALS:
            raise Refused(str(error)) from error
        raise
    except FileNotFoundError as error:
        raise Refused(str(error)) from error


def _input(use: DatasetUse) -> Any:  # noqa: ANN401 - MLflow's class, imported here
    from mlflow.entities import Dataset, DatasetInput, InputTag

    profile = None if use.rows is None else json.dumps({"num_rows": use.rows})
    source = json.dumps({"source": use.source})
    dataset = Dataset(use.name, use.digest[:_DIGEST], "code", source, profile=profile)
    return DatasetInput(dataset, [InputTag("mlflow.data.context", use.context)])


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some
