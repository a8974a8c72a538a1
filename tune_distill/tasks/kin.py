"""Which rows of a training file belong together: agreeing, grouped, related (see split.py)."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from tune_distill.tasks.rows import Rows
from tune_distill.tasks.words import Flags, Ints, Texts, holding, repeating

_TELLING_WORDS = 5  # of a text in a pair


def agreeing(rows: Rows) -> Ints:
    """Return the rows whose label is that of most rows of exactly the same text."""
    if rows.labels.ndim == 1 and rows.labels.dtype.kind == "f":  # ratings of a text may differ
        return np.arange(len(rows))
    keys = list(zip(*([" ".join(text.split()) for text in c] for c in rows.texts), strict=True))
    labels = [str(label) for label in rows.labels.tolist()]  # a class, or a set of them
    votes: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for key, label in zip(keys, labels, strict=True):
        votes[key][label] += 1
    winner = {}
    for key, count in votes.items():
        (label, most), *others = count.most_common(2)
        winner[key] = None if others and others[0][1] == most else label
    return np.array(
        [row for row, key in enumerate(keys) if winner[key] == labels[row]], dtype=np.int64
    )


def counting(texts: Texts, ids: Ints) -> Flags:
    """Say which texts of each row count as a sign of where the row comes from."""
    counts = texts.lengths[ids] >= _TELLING_WORDS
    counts[:, 0] = True
    return counts


def groups(ids: Ints, counts: Flags) -> Ints:
    """Number the groups of rows that share a counting text, directly or through other rows."""
    parent = list(range(int(ids.max(initial=-1)) + 1))

    def root(text: int) -> int:
        while parent[text] != text:
            parent[text] = text = parent[parent[text]]
        return text

    if ids.shape[1] > 1:
        for first, second in ids[counts.all(axis=1)].tolist():
            parent[root(second)] = root(first)
    roots = np.array([root(text) for text in range(len(parent))], np.int64)
    group: Ints = np.unique(roots[ids[:, 0]], return_inverse=True)[1]
    return group


def candidates(texts: Texts, ids: Ints, group: Ints) -> Flags:
    """Say which groups search rows may come from."""
    candidates = np.ones(int(group.max(initial=-1)) + 1, bool)
    if ids.shape[1] == 1:
        within, _ = holding(texts, texts, same=True)
        candidates[group[within[ids[:, 0]]]] = False
    return candidates


def representatives(texts: Texts, ids: Ints, counts: Flags, group: Ints) -> list[str]:
    """Return each group's alphabetically first text: its hash is blind to the group's size."""
    first: list[str | None] = [None] * (int(group.max(initial=-1)) + 1)
    for column in range(ids.shape[1]):
        seen = np.flatnonzero(counts[:, column])
        for one, text in zip(group[seen].tolist(), ids[seen, column].tolist(), strict=True):
            best, key = first[one], texts.keys[text]
            first[one] = key if best is None or key < best else best
    return [key or "" for key in first]


def related(texts: Texts, ids: Ints, counts: Flags, search: Ints) -> Flags:
    """Say which rows have a counting text that is related to one of the search rows'."""
    telling = np.unique(ids[search][counts[search]])
    others = np.setdiff1d(ids[counts], telling)
    least = 1 if ids.shape[1] == 1 else _TELLING_WORDS
    ours, theirs = texts.subset(telling), texts.subset(others)
    long = np.flatnonzero(theirs.lengths >= least)
    flags = repeating(theirs, ours)
    flags[long] |= holding(theirs.subset(long), ours)[0]
    flags |= holding(ours.subset(np.flatnonzero(ours.lengths >= least)), theirs)[1]
    related = np.zeros(len(texts.keys), bool)
    related[telling] = True
    related[others[flags]] = True
    found: Flags = np.logical_or.reduce(related[ids] & counts, axis=1)
    return found
