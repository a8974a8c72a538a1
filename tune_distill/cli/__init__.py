"""The command line. stdout is data, stderr is talk; heavy imports wait inside the commands.

Exit codes: 0 done, 1 unexpected, 2 bad usage or bad study, 3 nothing feasible, 4 the export does
not match, 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys

import typer

from tune_distill import __version__
from tune_distill.cli import (
    attack,
    check,
    confirm,
    doctor,
    export,
    front,
    resources,
    search,
    spaces,
    submit,
    teacher,
)
from tune_distill.errors import TuneDistillError

app = typer.Typer(
    name="tune-distill",
    help="Search over BERT distillation: the accuracy-size-robustness front, and its students.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(spaces.app, name="spaces")
app.add_typer(teacher.app, name="teacher")
app.command("check")(check.check)
app.command("search")(search.search)
app.command("submit")(submit.submit)
app.command("status")(front.status)
app.command("front")(front.front)
app.command("confirm")(confirm.confirm)
app.command("export")(export.export)
app.command("train")(export.train)
app.command("attack")(attack.attack)
app.add_typer(resources.app, name="resources")
app.command("doctor")(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Search over BERT distillation: the accuracy-size-robustness front, and its students."""


def main() -> None:
    """Runs a command; turns every error that a user can mend into one clear message."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers fork; silence its warning
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads slow each other down
    gc.set_threshold(100_000, 20, 20)  # looking through what imports make is a fifth of their time
    try:
        app()
    except TuneDistillError as error:
        lines = "\n".join(f"{type(error).__name__}: {line}" for line in str(error).splitlines())
        sys.stderr.write(f"{lines}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        gc.freeze()  # all goes with the process; looking through it first takes a second and a half
