"""`tune-distill spaces ls | cat | cp`: the studies that come with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The studies that come with tune-distill.")


@app.command("ls")
def ls(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the shipped studies: name and what each is for."""
    from tune_distill.spec.load import read, shipped

    rows = {name: str(read(path).get("description", "")) for name, path in shipped().items()}
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(map(len, rows), default=0)
    for name, description in rows.items():
        typer.echo(f"{name:<{width}}  {description}")


@app.command("cat")
def cat(name: str = typer.Argument(help="A shipped study's name.")) -> None:
    """Print a shipped study."""
    from tune_distill.spec.load import find

    typer.echo(find(name).read_text(encoding="utf-8"), nl=False)


@app.command("cp")
def cp(
    name: str = typer.Argument(help="A shipped study's name."),
    to: Annotated[Path, typer.Argument(help="A file or folder to copy it to.")] = Path(),
) -> None:
    """Copy a shipped study, to be edited."""
    from tune_distill.errors import SpecError
    from tune_distill.spec.load import find

    source = find(name)
    target = to / source.name if to.is_dir() else to
    if target.exists():
        raise SpecError(f"{target}: exists already; name another file")
    target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    typer.echo(str(target))
