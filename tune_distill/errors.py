"""The errors a user may meet, each with the exit code of the command that ends on it.

    TuneDistillError            1  anything below, unspecified
     ├ SpecError                2  a study (YAML) that cannot be what its author meant
     ├ DataError                2  rows, columns or files that do not fit the task
     ├ TeacherError             2  a teacher that does not fit the task, or has not learned it
     ├ StorageError             1  an object store that does not answer, or not any more
     ├ Diverged                 1  a training whose loss is no longer finite; its trial fails
     ├ NoFeasibleStudent        3  no student satisfies the constraints
     └ ExportMismatch           4  the exported model does not compute what the trained one does

Every message says what is wrong, where, what was got and what would work.
"""

from __future__ import annotations

from collections.abc import Sequence


class TuneDistillError(Exception):
    """Base of every error that tune-distill raises on purpose."""

    exit_code = 1


class SpecError(TuneDistillError):
    """A study that cannot be run as written; `problems` holds one line per mistake."""

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[str, ...]]]:
        """Pickle by the problems, so that the error survives the way back from a worker."""
        return (type(self), (self.problems,))


class DataError(TuneDistillError):
    """Rows, columns or files that do not fit the task."""

    exit_code = 2


class TeacherError(TuneDistillError):
    """A teacher that does not fit the task, or that has not learned it."""

    exit_code = 2


class StorageError(TuneDistillError):
    """An object store that does not answer, or not any more; the same command goes on."""


class Diverged(TuneDistillError):  # noqa: N818 - reads as what it is
    """A training whose loss is no longer finite."""


class NoFeasibleStudent(TuneDistillError):  # noqa: N818 - reads as what it is
    """No student, drawn or finished, satisfies the constraints."""

    exit_code = 3


class ExportMismatch(TuneDistillError):  # noqa: N818 - reads as what it is
    """The exported model does not compute what the trained one does."""

    exit_code = 4
