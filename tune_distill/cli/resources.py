"""`tune-distill resources build`: a compact table of neighbours for attacks on whole words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tune_distill.cli.options import say

app = typer.Typer(no_args_is_help=True, help="Tables of neighbours, for attacks on whole words.")


@app.callback()
def _group() -> None:
    """Tables of neighbours, for attacks on whole words."""


@app.command("build")
def build(
    source: Annotated[
        Path,
        typer.Argument(
            help="Word vectors (.txt, .vec, .npz), neighbours (.parquet, .csv, .tsv, .jsonl,"
            " .json) or WordNet's dict folder."
        ),
    ],
    to: Annotated[Path, typer.Argument(help="The table to write: a .parquet file.")],
    antonyms: Annotated[
        Path | None,
        typer.Option(help="WordNet's dict folder: pairs that it calls antonyms are dropped."),
    ] = None,
    neighbours: Annotated[
        int, typer.Option(min=1, help="Neighbours a word, at most; the nearest.")
    ] = 50,
    min_cosine: Annotated[
        float, typer.Option(min=-1.0, max=1.0, help="Of a neighbour, where cosines are known.")
    ] = 0.5,
) -> None:
    """Make one compact table of neighbours, for robustness.resources.table."""
    from tune_distill.errors import DataError
    from tune_distill.robustness import neighbours as sources
    from tune_distill.robustness import wordnet

    if to.suffix != ".parquet":
        raise DataError(f"{to}: a table is a .parquet file; name one")
    if to.exists():
        raise DataError(f"{to}: exists already; name another file")
    if antonyms is not None and not wordnet.is_wordnet(antonyms):
        raise DataError(f"--antonyms: {antonyms} lacks WordNet's index.noun, data.noun ...")
    table = sources.read(source, "resources build").limited(neighbours, min_cosine)
    before = len(table.neighbours)
    if antonyms is not None:
        table = table.less(wordnet.antonyms(antonyms))
    to.parent.mkdir(parents=True, exist_ok=True)
    table.write(to)
    dropped = f", {before - len(table.neighbours):,} antonyms dropped" if antonyms else ""
    count, size = len(table.neighbours), to.stat().st_size / 1e6
    say(
        f"{len(table.words):,} words with {count:,} neighbours ({size:.1f} MB, digest"
        f" {table.digest}){dropped}"
    )
    typer.echo(str(to))
