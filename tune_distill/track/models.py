"""An exported student in MLflow: a LoggedModel on its trial's run, and a registered model.

The flavour is `mlflow.transformers`, with signature and input example, so that
`mlflow.pyfunc.load_model("models:/NAME@champion").predict([text, ...])` answers texts. Only
`MlflowClient` is used: the fluent API would need a global tracking URI and an open run, and would
begin and end a run that has ended long ago.

The same student logged again is found by the digest of its files, and not logged twice.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import SpecError, TuneDistillError
from tune_distill.folder import StudyFolder
from tune_distill.track.change import PREFIX
from tune_distill.track.flavour import Student, quiet, save
from tune_distill.track.uri import checked, default_uri, redacted
from tune_distill.track.writer import STUDY, TRIAL, quiet_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Metric, Run

ALIAS = "champion"
FILES = f"{PREFIX}files"  # the tag that tells a student's files
_WHILE_TRAINED = ("rung.", "loss.")  # metrics of epochs


@dataclass(frozen=True)
class Logged:
    """Where a student is in MLflow."""

    model: str  # models:/m-...
    registered: str | None = None  # models:/NAME@champion
    version: str | None = None


def tracked(folder: StudyFolder, uri: str | None) -> bool:
    """Whether there is a store to log to: one that is named, or the study's own."""
    return uri is not None or (folder.path / "mlflow.db").is_file()


def log_student(
    folder: StudyFolder, student: Student, uri: str | None = None, register: str | None = None
) -> Logged:
    """Logs a student to its trial's run, and registers it if it is to be.

    Args:
        folder: of the study.
        student: what is logged.
        uri: of the tracking server; None is SQLite in the study's folder.
        register: a name; the new version gets the alias `champion`.

    Raises:
        SpecError: no store, or none that knows the study.
        TuneDistillError: MLflow refuses, or does not answer.
    """
    if not tracked(folder, uri):
        raise SpecError(
            f"{folder.path / 'mlflow.db'} is not there: the study was told to another MLflow; name "
            "its server by --tracking-uri, or leave MLflow out by --no-mlflow"
        )
    where = default_uri(folder) if uri is None else checked(uri)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    with quiet_client(), quiet():
        client = MlflowClient(where)
        try:
            run = _run(client, folder, student.number, where)
            model = _known(client, run, student) or _log(client, run, student)
            uri = f"models:/{model.model_id}"
            if register is None:
                return Logged(uri)
            version = _register(client, register, model, run)
        except MlflowException as error:
            raise TuneDistillError(
                f"MLflow at {redacted(where)}: {redacted(' '.join(str(error).split()))}; "
                f"{student.folder} is written"
            ) from error
        return Logged(uri, f"models:/{register}@{ALIAS}", version)


def _run(client: MlflowClient, folder: StudyFolder, number: int, where: str) -> Run:
    """The trial's run, found by tags as `writer` leaves them."""
    file = folder.path / "outbox" / "study_id"
    study = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    wanted = f"tags.`{STUDY}` = '{study}' and tags.`{TRIAL}` = '{number}'"
    every = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(every, wanted, max_results=1)
    if not found:
        raise SpecError(
            f"MLflow at {redacted(where)} has no run of trial {number}; name the server that the "
            "search was told to by --tracking-uri, or leave MLflow out by --no-mlflow"
        )
    return found[0]


def _known(client: MlflowClient, run: Run, student: Student) -> LoggedModel | None:
    """The same student, logged before."""
    files = _digest(student.folder)
    for output in run.outputs.model_outputs if run.outputs else ():
        model = client.get_logged_model(output.model_id)
        if model.tags.get(FILES) == files and model.status == "READY":
            return model
    return None


def _log(client: MlflowClient, run: Run, student: Student) -> LoggedModel:
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    tags = {FILES: _digest(student.folder), **_trial_tags(run)}
    model = client.create_logged_model(
        run.info.experiment_id,
        name=student.name,
        source_run_id=run.info.run_id,
        tags=tags,
        params=dict(run.data.params),
        model_type="text-classification",
    )
    try:
        with tempfile.TemporaryDirectory() as name:
            save(student, model, run, Path(name) / "model")
            client.log_model_artifacts(model.model_id, str(Path(name) / "model"))
        ready: LoggedModel = client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    except BaseException:
        client.finalize_logged_model(model.model_id, LoggedModelStatus.FAILED)
        raise
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.log_batch(run.info.run_id, metrics=list(_metrics(client, model, run, student)))
    return ready


def _metrics(
    client: MlflowClient, model: LoggedModel, run: Run, student: Student
) -> Iterator[Metric]:
    """The measures that the run has already, as they are there, and those of the export."""
    from mlflow.entities import Metric

    of_model = {"model_id": model.model_id, "run_id": run.info.run_id}
    for name in run.data.metrics:
        if not name.startswith(_WHILE_TRAINED):
            one = client.get_metric_history(run.info.run_id, name)[-1]
            yield Metric(name, one.value, one.timestamp, one.step, **of_model)
    now = round(time.time() * 1000)
    for name, value in student.metrics.items():
        yield Metric(name, value, now, 0, **of_model)


def _register(client: MlflowClient, name: str, model: LoggedModel, run: Run) -> str:
    """The version that the registry gives it, or gave it before."""
    from mlflow.exceptions import MlflowException

    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name)
    versions = client.search_model_versions(f"name = '{name}'")
    known = [one for one in versions if one.source == model.artifact_location]
    made = (
        known[0]
        if known
        else client.create_model_version(
            name,
            source=model.artifact_location,  # an id is looked up in the global tracking URI
            run_id=run.info.run_id,
            model_id=model.model_id,
        )
    )
    client.set_registered_model_alias(name, ALIAS, made.version)
    return str(made.version)


def _trial_tags(run: Run) -> dict[str, str]:
    return {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}


def _digest(folder: Path) -> str:
    """Of what the model computes with."""
    state = hashlib.sha256()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        state.update(name.encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    return state.hexdigest()
