"""Train into (train, search) by content: no sentence of the search rows is trained on.

A task's own training file is not a bag of independent rows: SST-2's is full of phrases of the same
sentences, NLI premises repeat. So whole groups are drawn, by a hash of their content:

1. Rows with exactly the same text and different labels: the majority's stay; of a tie, none.
2. Rows that share a text form one group (for pairs: transitively, in either column).
3. Single texts that stand within another one are no candidates: where phrases and sentences mix,
   the search rows are sentences, as in the official validation split.
4. Candidates are taken in the order of their hash until enough rows are found; repeats count once.
   Groups of over a tenth of the rows sought are passed over, lest one of them be the whole split.
5. Of the rest, every row is dropped from train that has a text which equals, holds, stands within
   or nearly repeats a search row's (`words.py` says what that means).

In pairs a short second text ("yes", "I do not know") says nothing of where a row comes from: there
a text counts if it stands first or has five words, and it stands within another from five words on.

A row's fate depends on its own group and, at the margin, on how many others come before it: not on
the order of rows, and little on rows added or removed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from tune_distill.errors import DataError
from tune_distill.tasks import kin
from tune_distill.tasks.rows import Rows
from tune_distill.tasks.words import Flags, Ints, number

SEARCH_ROWS = 1_500


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of both parts, ascending, and what became of the other rows.

    conflicting: rows dropped because most rows of the same text have another label
    repeats: rows dropped because they repeat a search row
    related: rows dropped because they share words with a search row
    """

    train: Ints
    search: Ints
    conflicting: int
    repeats: int
    related: int

    @property
    def note(self) -> str:
        """Return what happened in one line for the user."""
        dropped = self.conflicting + self.repeats + self.related
        total = len(self.train) + len(self.search) + dropped
        return (
            f"{total:,} training rows: {len(self.search):,} kept aside for the search,"
            f" {len(self.train):,} trained on, {dropped:,} dropped ({self.related:,} related to a"
            f" search row, {self.repeats:,} repeats of one, {self.conflicting:,} with a label that"
            " most rows of the same text contradict)"
        )


def split(rows: Rows, wanted: int | None, seed: int) -> Split:
    """Part the rows of a training file; `wanted` search rows (None: our own choice, `_wanted`)."""
    given, agreeing = len(rows), kin.agreeing(rows)
    rows = rows.take(agreeing)
    texts, ids = number(rows.texts)
    counts = kin.counting(texts, ids)
    group = kin.groups(ids, counts)
    candidates = kin.candidates(texts, ids, group)
    _, one_of_each = np.unique(ids, axis=0, return_index=True)
    aim = _wanted(wanted, given, int(candidates[group[one_of_each]].sum()))
    order = _in_hash_order(candidates, kin.representatives(texts, ids, counts, group), seed)
    search, taken = _draw(rows, ids, group, order, aim)
    if len(search) < (wanted or 1):
        raise DataError(
            f"task.search_rows: {aim:,} rows sought, {len(search):,} found; the others belong to"
            " large groups of rows that share texts, which would be the whole split. Give fewer"
            " search rows, or a training file of your own without those groups"
        )
    in_search = np.isin(group, taken)
    rest = np.flatnonzero(~in_search)
    related = kin.related(texts, ids, counts, np.flatnonzero(in_search))[rest]
    return Split(
        train=agreeing[rest[~related]],
        search=agreeing[search],
        conflicting=given - len(agreeing),
        repeats=int(in_search.sum()) - len(search),
        related=int(related.sum()),
    )


def capped(rows: Rows, most: int | None, seed: int) -> Ints:
    """Return at most so many row numbers, ascending: by content hash, each class its share.

    A larger cap keeps all that a smaller one kept; phrases and sentences are kept alike. A row of
    several labels counts for the rarest of them, lest that one get lost.
    """
    if most is None or most >= len(rows):
        return np.arange(len(rows))
    labels = [str(label) for label in rows.labels.tolist()]
    hashes = _hashes(["\0".join(row) for row in zip(labels, *rows.texts, strict=True)], seed, "cap")
    share = np.empty(len(rows))
    strata = _strata(rows.labels)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        ranked = members[np.argsort(hashes[members], kind="stable")]
        share[ranked] = (np.arange(len(ranked)) + 0.5) / len(ranked)
    kept: Ints = np.sort(np.lexsort((hashes, share))[:most])
    return kept


def _strata(labels: np.ndarray) -> Ints:
    """Number what is to get its share of the rows: classes; the whole, of a regression."""
    if labels.ndim == 2:
        rarity = np.where(labels > 0, labels.sum(axis=0), np.inf)
        return np.where(labels.any(axis=1), rarity.argmin(axis=1), -1)
    return np.zeros(len(labels), np.int64) if labels.dtype.kind == "f" else labels


def _wanted(wanted: int | None, rows: int, possible: int) -> int:
    """Return how many search rows to draw.

    Left to us: a tenth of the rows, but at most 1,500 and at most 15 % of those that can be drawn,
    for each sentence takes its phrases out of train (1,500 of SST-2's would cost a quarter of it).
    """
    if wanted is None:
        wanted = min(rows // 10, possible * 15 // 100, SEARCH_ROWS)
    if not 0 < wanted < possible:
        raise DataError(
            f"task.search_rows: cannot keep {wanted:,} of {rows:,} training rows aside for the"
            f" search; {possible:,} can be drawn from (rows within no other text). Give more"
            " training rows, or a smaller task.search_rows (at least 1)"
        )
    return wanted


def _in_hash_order(candidates: Flags, representatives: list[str], seed: int) -> list[int]:
    chosen = np.flatnonzero(candidates)
    hashes = _hashes([representatives[one] for one in chosen.tolist()], seed, "search")
    ordered: list[int] = chosen[np.argsort(hashes, kind="stable")].tolist()
    return ordered


def _draw(
    rows: Rows, ids: Ints, group: Ints, order: list[int], wanted: int
) -> tuple[Ints, list[int]]:
    """Take groups in order until `wanted` distinct rows are found; return rows and groups."""
    members = np.split(
        np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1].astype(np.int64)
    )
    largest = max(10, wanted // 10)
    search: list[int] = []
    taken: list[int] = []
    for one in order:
        ranked = sorted(members[one].tolist(), key=lambda row: _fullest_first(rows, row))
        distinct = {tuple(ids[row].tolist()): row for row in reversed(ranked)}
        if len(distinct) > largest:
            continue
        taken.append(one)
        kept = set(distinct.values())
        search.extend([row for row in ranked if row in kept][: wanted - len(search)])
        if len(search) == wanted:
            break
    return np.sort(np.array(search, np.int64)), taken


def _fullest_first(rows: Rows, row: int) -> tuple[object, ...]:
    """Sort repeats that differ in case and punctuation by content, the full sentence first."""
    texts = tuple(column[row] for column in rows.texts)
    return (-sum(map(len, texts)), texts, rows.labels[row].tolist())


def _hashes(
    keys: list[str], seed: int, purpose: str
) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Return 64 bits of BLAKE2b a key, salted by the seed and the purpose."""
    salt = f"{purpose}\0{seed}\0".encode()
    return np.array(
        [
            int.from_bytes(hashlib.blake2b(salt + key.encode(), digest_size=8).digest())
            for key in keys
        ],
        np.uint64,
    )
