"""Where MLflow is: the study's own SQLite file or a server, named without its secrets."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from tune_distill.errors import SpecError
from tune_distill.folder import StudyFolder

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
_USER = re.compile(r"(://)\S*@")
_QUERY = re.compile(r"(://[^\s?]*)\?[^\s)\]'\"]*")


def default_uri(folder: StudyFolder) -> str:
    """The SQLite store in the study's folder."""
    return f"sqlite:///{_absolute(folder.path) / 'mlflow.db'}"


def default_artifacts(folder: StudyFolder) -> str:
    """Where the default store keeps its files; absolute, or they land in the current directory."""
    return (_absolute(folder.path) / "artifacts").as_uri()


def checked(uri: str) -> str:
    """The URI of a server.

    Raises:
        SpecError: MLflow knows no such kind of store.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme not in SCHEMES and uri != "databricks":
        raise SpecError(
            f"tracking URI {redacted(uri)!r}: MLflow's stores are {', '.join(SCHEMES)}, "
            "as in http://127.0.0.1:5000 or sqlite:////data/mlflow.db"
        )
    return uri


def served(uri: str | None) -> bool:
    """Whether a server keeps the runs, and not a file or a database of one machine."""
    return uri is not None and (
        urlsplit(uri).scheme in {"http", "https", "databricks"} or (uri == "databricks")
    )


def redacted(text: str) -> str:
    """A text whose URLs have lost their user, password and query."""
    return _QUERY.sub(r"\1", _USER.sub(r"\1", text))


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()
