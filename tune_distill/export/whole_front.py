"""Every student of a front, a folder each, and an index of them: index.md and index.json.

The front is the confirmed one where `confirm` was run, and else the search's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_distill.errors import NoFeasibleStudent
from tune_distill.export.bench import Bench
from tune_distill.export.bundle import bundle, may_write
from tune_distill.export.confirmed import spread
from tune_distill.export.figures import Figures
from tune_distill.export.source import Source
from tune_distill.export.tables import FORMS, shown, table
from tune_distill.files import whole
from tune_distill.forms import Wanted
from tune_distill.front import Front
from tune_distill.record import TrialRecord
from tune_distill.spec.bounds import Bound

INDEX = "index.json"
_KEPT = ("form", "heldout", "objectives", "latency", "on_front", "front_probability")


@dataclass(frozen=True)
class Written:
    """One student of the front, in its folder."""

    record: TrialRecord
    figures: Mapping[str, Figures]
    knee: bool
    confirmed: Sequence[Mapping[str, Any]] = ()  # what fresh seeds say, by form

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"trial-{self.record.number}"

    @property
    def told(self) -> dict[str, Any]:
        """What index.json holds of it."""
        forms = {name: one.to_json() for name, one in self.figures.items() if name != "teacher"}
        return {
            "trial": self.record.number,
            "folder": self.name,
            "knee": self.knee,
            "measures": self.record.outcome.measures() if self.record.outcome else {},
            "forms": forms,
            "confirmed": [{name: one[name] for name in _KEPT} for one in self.confirmed],
            "params": dict(self.record.params),
        }


def all_front(
    source: Source,
    to: Path,
    *,
    where: tuple[Bound, ...] = (),
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    bench: Bench | None = None,
    replace: bool = False,
) -> list[Written]:
    """Writes every student of a study's front, of the confirmed one where there is one.

    All of them or, after an error, none.

    Args:
        source: the study.
        to: the folder to write.
        where: further bounds; the front is that of what satisfies them, or of the confirmed
            front what does.
        wanted: as `bundle`.
        bench: as `bundle`.
        replace: as `bundle`.

    Returns:
        The students, by number.

    Raises:
        NoFeasibleStudent: the front is empty.
        DataError, ExportMismatch: as `bundle`, of any of them.
    """
    may_write(to, INDEX, replace=replace)
    front = Front(source.records, source.spec.axes, (*source.spec.bounds, *where))
    front.require()
    members = _members(source, front)
    with whole(to) as partial:
        written = []
        for record in members:
            folder = partial / f"trial-{record.number}"
            figures = bundle(source, record, folder, wanted=wanted, bench=bench)
            entries_of = source.confirmed.of(record) if source.confirmed else ()
            written.append(Written(record, figures, record.number == front.knee, entries_of))
        entries = [one.told for one in written]
        about = {"study": source.spec.name, "confirmed": source.confirmed is not None}
        text = json.dumps({**about, "students": entries}, indent=2)
        (partial / INDEX).write_text(text + "\n", encoding="utf-8")
        (partial / "index.md").write_text(_index(source, entries), encoding="utf-8")
    return written


def _members(source: Source, front: Front) -> list[TrialRecord]:
    """The students that are written: of the confirmed front, or of the search's."""
    if source.confirmed is None:
        members = [record for record in front.allowed if record.number in front.members]
        if not members:
            raise NoFeasibleStudent("no trial of this study is complete yet")
        return members
    members = source.confirmed.members(front.allowed)
    if not members:
        raise NoFeasibleStudent(
            "no trial of the confirmed front is a trial of this search within these bounds; "
            "confirm again, or export one with --pick"
        )
    return members


def _index(source: Source, entries: list[dict[str, Any]]) -> str:
    """The front as a table: what the search measured, and what the export did."""
    names = [axis.name for axis in source.spec.axes]
    forms = list(entries[0]["forms"])
    again = source.confirmed is not None
    head = [
        "student",
        *["fresh seeds, held out"] * again,
        *names,
        *(f"{FORMS[form]}: held out, MB, ms" for form in forms),
    ]
    rows = [
        [
            f"[{one['folder']}]({one['folder']})" + " (knee)" * one["knee"],
            *[_again(one)] * again,
            *(shown(name, one["measures"][name]) for name in names),
            *(_form(one["forms"][form]) for form in forms),
        ]
        for one in entries
    ]
    return (
        f"# The {'confirmed ' * again}front of {source.spec.name}\n\n{table(head, rows)}\n\n"
        "The objectives are as the search measured them, on the rows that it chose by. Each "
        "folder's README.md has intervals, attacks, and the machine of the timings.\n"
    )


def _again(one: Mapping[str, Any]) -> str:
    """Mean \u00b1 standard deviation of each form that fresh seeds have tried."""
    return ", ".join(
        (f"{FORMS[form['form']]} " if form["form"] != "pytorch" else "")
        + spread(form["heldout"]["accuracy"])
        for form in one["confirmed"]
    )


def _form(figures: Mapping[str, Any]) -> str:
    found = next(iter(figures["heldout"]["heldout"].values()))["value"]
    return f"{found:.4f}, {figures['size_mb']:.2f}, {figures['latency']['median_ms']:.3g}"
