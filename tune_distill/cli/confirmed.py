"""What a confirmation says, as tables for a terminal and as Markdown for MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table

from tune_distill.cli.tables import plain_table, shown, stdout
from tune_distill.measure.latency import in_words

STYLES = {"BETTER": "green", "WORSE": "red", "INCONCLUSIVE": "dim"}


def print_confirmed(told: Mapping[str, Any]) -> None:
    """Prints the models, the claims and how optimistic the search was."""
    console = stdout()
    head, *rows = models(told)
    console.print(_filled(plain_table(*head[:-1]), head[-1], rows))
    console.print()
    for line in how(told):
        console.print(line)
    console.print()
    head, *rows = claims(told)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*row[:-1], row[-1], style=STYLES[row[-1]])
    console.print(table)
    for line in optimism(told):
        console.print(f"\n{line}")


def markdown(told: Mapping[str, Any]) -> str:
    """The same as Markdown."""
    parts = [*how(told), _as_markdown(models(told)), _as_markdown(claims(told))]
    return "\n\n".join([*parts, *optimism(told)]) + "\n"


def models(told: Mapping[str, Any]) -> Iterator[list[str]]:
    """The head, and a row a model: the confirmed front first, the most accurate first."""
    measured = [m for m in ("accuracy", "robust_worst") if m in told["models"][0]["heldout"]]
    exact = [o["name"] for o in told["objectives"] if o["name"] not in measured]
    columns = [c for m in measured for c in (m, "search said")]
    yield ["model", *columns, *exact, "latency, ms", "on the front"]
    order = sorted(
        told["models"], key=lambda m: (not m["on_front"], -m["heldout"]["accuracy"]["mean"])
    )
    for model in order:
        cells = []
        for measure in measured:
            cells.append(_figure(model["heldout"][measure]))
            searched = (model["searched"] or {}).get(measure)
            cells.append("" if searched is None else shown(measure, searched))
        cells += [shown(name, model["objectives"][name]) for name in exact]
        cells.append(_latency(model["latency"]))
        front = "yes" if model["on_front"] else "no"
        yield [model["name"], *cells, f"{front} ({model['front_probability']:.0%} of draws)"]
    teacher = told["teacher"]
    cells = [c for m in measured for c in (f"{teacher[m]:.4f}", "")]
    cells += [shown(name, teacher[name]) if name in teacher else "" for name in exact]
    yield ["teacher", *cells, _latency(told["teacher_latency"]), ""]


def claims(told: Mapping[str, Any]) -> Iterator[list[str]]:
    """The head, and a row a claim, its verdict the last."""
    yield ["claim", "difference", "95 % interval", "p (Holm)", "McNemar, as found", "verdict"]
    for claim in told["claims"]:
        low, high = claim["interval"]["low"], claim["interval"]["high"]
        yield [
            f"{claim['measure']}: {claim['first']} against {claim['second']}",
            f"{claim['difference']:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
            f"{claim['adjusted']:.3g}",
            "" if claim["mcnemar"] is None else f"{claim['mcnemar']:.3g}",
            claim["verdict"],
        ]


def optimism(told: Mapping[str, Any]) -> Iterator[str]:
    """By how much the search's figures were better than fresh seeds', a line a measure."""
    for measure, gap in told["optimism"].items():
        size = f"{abs(gap['mean']):.4f}"
        way = "better" if gap["mean"] > 0 else "worse"
        said = "the same as" if float(size) == 0 else f"{size} {way} than"
        yield (
            f"The search's {measure} was {said} fresh seeds' on the same rows, mean of "
            f"{gap['members']} students."
        )


def how(told: Mapping[str, Any]) -> Iterator[str]:
    """What the figures were taken on."""
    attacked = told["attacked_rows"]
    rows = f"{told['rows']:,} held-out rows" + (f", {attacked:,} attacked" if attacked else "")
    yield f"{told['seeds']} fresh seeds a model, {rows}, {told['metric']}."
    if taken := told["latency"]:
        threads = f"{taken['threads']} thread{'s' * (taken['threads'] > 1)}"
        yield (
            "Latency: a text at a time, median (10th to 90th percentile) of "
            f"{taken['texts']} texts, {threads} on {in_words(taken['machine'])}."
        )


def _latency(one: Mapping[str, float] | None) -> str:
    if one is None:
        return ""
    return f"{one['median_ms']:.3g} ({one['low_ms']:.3g} to {one['high_ms']:.3g})"


def _figure(one: Mapping[str, Any]) -> str:
    deviation = "" if one["sd"] is None else f" \u00b1 {one['sd']:.4f}"
    low, high = one["interval"]["low"], one["interval"]["high"]
    return f"{one['mean']:.4f}{deviation} [{low:.3f}, {high:.3f}]"


def _filled(table: Table, last: str, rows: Sequence[Sequence[str]]) -> Table:
    table.add_column(last, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _as_markdown(rows: Iterator[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
