"""The same command goes on: a study's folder keeps the document that it was begun with.

What changes what a trial is worth may not change; the budget and the machine may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tune_distill.errors import SpecError
from tune_distill.files import write_atomically
from tune_distill.folder import StudyFolder
from tune_distill.spec import dump, read, resolve

FREE = (
    *("search.trials", "search.max_failures", "search.max_hours", "search.stop_early"),
    *("resources", "description"),
)
NOTHING = "nothing"


def admit(folder: StudyFolder, document: Mapping[str, Any]) -> None:
    """Files the study's document, or finds it to be the one that is there.

    Raises:
        SpecError: the folder holds another study; a line for each difference.
    """
    if folder.study.is_file():
        changed = differences(read(folder.study), document)
        if changed:
            raise SpecError(
                [
                    f"{folder.path}: was begun with another study",
                    *changed,
                    "give the study another name, undo the change, or begin again with --fresh "
                    "(which keeps the old folder under another name)",
                ]
            )
    write_atomically(folder.study, dump(document))
    folder.sync()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What makes two documents different studies, a line for each; none for the same study.

    A default that is written out changes nothing.
    """
    before, after = dict(_leaves(old)), dict(_leaves(new))
    paths = [p for p in {**before, **after} if before.get(p, NOTHING) != after.get(p, NOTHING)]
    if not paths or _same(old, new):
        return []
    return [
        f"{path}: was {before.get(path, NOTHING)}, is {after.get(path, NOTHING)}" for path in paths
    ]


def _same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    try:
        return resolve(_bound(old)) == resolve(_bound(new))
    except SpecError:  # begun by another version, whose document this one cannot read
        return False


def _bound(node: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The document without what may change."""
    return {
        key: _bound(value, f"{above}{key}.") if isinstance(value, Mapping) else value
        for key, value in node.items()
        if f"{above}{key}" not in FREE
    }


def _leaves(node: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        path = f"{above}{key}"
        if path in FREE:
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value
