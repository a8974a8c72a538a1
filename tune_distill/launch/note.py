"""The description of a study's run in MLflow: which students matter, why, and how to have one.

Markdown of front.json's data, filed as front.md. MLflow shows its first lines and folds the rest,
so it begins with what a reader wants to know, and with the command. It takes no more than 8,000
characters (mlflow/utils/validation.py); there {run} and {experiment} become ids (`track`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tune_distill.plots.data import Data
from tune_distill.plots.words import figure, label

NOTE, PICTURE = "front.md", "front.png"
_LIMIT = 7800  # characters; an id takes more than its place
_ROWS = (30, 20, 10, 5, 0)  # of the table, tried in turn
_WORDS = 1200  # characters of the study's own description


def note(data: Data, description: str, export: str, pictured: bool) -> str:
    """The text.

    Args:
        data: of front.json.
        description: the study's own words.
        export: the command that exports the knee.
        pictured: whether the run has front.png.
    """
    texts = ("\n\n".join(_parts(data, description, export, pictured, rows)) for rows in _ROWS)
    return next((text for text in texts if len(text) <= _LIMIT), _headline(data)) + "\n"


def _parts(data: Data, description: str, export: str, pictured: bool, rows: int) -> Iterator[str]:
    yield _headline(data)
    if data["front"]:
        yield f"`{export}`"
    if pictured:
        yield f"![the front](get-artifact?path={PICTURE}&run_uuid={{run}})"
    if data["front"]:
        yield "\n".join(_table(data, rows))
        yield _caution(data)
        yield _links()
    if description:
        yield description[:_WORDS]


def _headline(data: Data) -> str:
    counts, size = data["counts"], len(data["front"])
    ended = (
        ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "no trial has ended yet"
    )
    if not size:
        return f"**No student is on the front yet**: {ended}."
    knee = _trial(data, data["knee"])
    figures = ", ".join(_said(n, v) for n, v in knee["objectives"].items())
    return (
        f"**{size} of {counts['complete']} students {'is' if size == 1 else 'are'} on the front** "
        f"({ended}). Its compromise, the knee, is **trial {data['knee']}**: {figures}."
    )


def _said(name: str, value: float) -> str:
    """A measure in a sentence: size 26.4 MB, accuracy 0.826."""
    what, _, unit = label(name).partition(" (")
    return f"{what} {figure(name, value)} {unit.rstrip(')')}".rstrip()


def _table(data: Data, rows: int) -> Iterator[str]:
    """The front's students, the best in the first objective first, and their teacher."""
    names = [o["name"] for o in data["objectives"]]
    merits = _merits(data)
    front = [_trial(data, number) for number in data["front"]]
    front.sort(key=lambda t: t["number"] not in merits)
    shown, first = front[:rows], data["objectives"][0]
    shown.sort(key=lambda t: t["objectives"][names[0]], reverse=first["goal"] == "max")
    yield f"| student | why | {' | '.join(map(label, names))} | method | layers x width |"
    yield f"|{' --- |' * (len(names) + 4)}"
    for trial in shown:
        figures = [_figure(trial, name) for name in names]
        why = ", ".join(merits.get(trial["number"], ()))
        cells = [f"trial {trial['number']}", why, *figures, *_made(trial["params"])]
        yield f"| {' | '.join(cells)} |"
    teacher = data["teacher"] or {}
    figures = [figure(name, teacher[name]) if name in teacher else "" for name in names]
    yield f"| *teacher* | | {' | '.join(figures)} | | |"
    if len(front) > len(shown):
        yield f"\n{len(front) - len(shown)} more are in front.html."


def _merits(data: Data) -> dict[int, list[str]]:
    """What distinguishes students of the front, by number: best in an objective, the knee."""
    merits: dict[int, list[str]] = {data["knee"]: ["**knee**"]}
    front = [_trial(data, number) for number in data["front"]]
    for objective in data["objectives"]:
        name, most = objective["name"], objective["goal"] == "max"
        best = (max if most else min)(front, key=lambda t: t["objectives"][name])
        said = f"{'highest' if most else 'lowest'} {label(name).partition(' (')[0]}"
        merits.setdefault(best["number"], []).append(said)
    return merits


def _figure(trial: Data, name: str) -> str:
    text = figure(name, trial["objectives"][name])
    if name not in trial["intervals"]:
        return text
    low, high = trial["intervals"][name]
    return f"{text} ({figure(name, low)} to {figure(name, high)})"


def _made(params: Data) -> tuple[str, str]:
    """How a student was taught, and its shape."""
    layers, width = (params.get(f"student.{knob}") for knob in ("layers", "hidden_size"))
    shape = f"{layers} x {width}" if layers and width else ""
    return str(params.get("method", "")), shape


def _caution(data: Data) -> str:
    return (
        "In brackets: 95 % intervals. These are figures of the rows that the "
        f"search chose by, somewhat flattered: `tune-distill confirm {data['name']}` trains the "
        "front again and reads held-out ones."
    )


def _links() -> str:
    """To the page, and to the view of the runs (`track/view.py`) as a table and as charts."""
    page = "#/experiments/{experiment}/runs/{run}/artifacts/front.html"
    kind = "workflowType=machine_learning"  # else MLflow may show its pages for agents
    runs = f"#/experiments/{{experiment}}/runs?{kind}&viewStateShareKey={{study}}"
    return (
        f"[front.html: the front to explore]({page}) \u00b7 [runs by objectives]({runs}) \u00b7 "
        f"[charts]({runs}&compareRunsMode=CHART)"
    )


def _trial(data: Data, number: int) -> Data:
    found: Sequence[Data] = [t for t in data["trials"] if t["number"] == number]
    return found[0]
