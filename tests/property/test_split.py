"""The split: nothing of a search row is trained on, and a row's fate hangs on its content."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tune_distill.errors import DataError
from tune_distill.tasks import Rows
from tune_distill.tasks.kin import agreeing
from tune_distill.tasks.split import capped, split
from tune_distill.tasks.words import holding, number, repeating, words


def normal(text):
    """Our own normaliser of ASCII texts, character by character."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def within(one, other):
    return f" {one} " in f" {other} "


def related(one, other):
    """Brute force: equal, holding either way, or Jaccard index of the word sets at least 0.8."""
    a, b = set(one.split()), set(other.split())
    return within(one, other) or within(other, one) or 5 * len(a & b) >= 4 * len(a | b)


def sentences(rows, columns=1, seed=0, vocabulary=40):
    """Zipf-distributed words, so that short texts do stand in longer ones."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, vocabulary + 1)
    texts = tuple(
        [
            " ".join(
                f"w{word}"
                for word in rng.choice(vocabulary, rng.integers(1, 13), p=chance / chance.sum())
            )
            for _ in range(rows)
        ]
        for _ in range(columns)
    )
    return Rows(texts, rng.integers(0, 2, rows))


texts = st.lists(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=8).map(" ".join),
    min_size=1,
    max_size=25,
)


@given(texts, texts)
@settings(max_examples=150, deadline=None)
def test_holding_and_repeating_agree_with_comparing_all_pairs(ours, theirs):
    both, ids = number([ours + theirs])
    ids = ids[:, 0]
    one, other = (np.unique(ids[: len(ours)]), np.unique(ids[len(ours) :]))
    held, holders = holding(both.subset(one), both.subset(other))
    near = repeating(both.subset(one), both.subset(other))
    keys = both.keys
    for place, text in enumerate(one):
        assert held[place] == any(within(keys[text], keys[o]) for o in other)
        sets = [(set(keys[text].split()), set(keys[o].split())) for o in other]
        assert near[place] == any(5 * len(a & b) >= 4 * len(a | b) for a, b in sets)
    for place, text in enumerate(other):
        assert holders[place] == any(within(keys[o], keys[text]) for o in one)
    inner, _ = holding(both, both, same=True)
    for text, found in enumerate(inner):
        assert found == any(within(keys[text], keys[o]) for o in range(len(keys)) if o != text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It 's GOOD , really !", ["it", "s", "good", "really"]),
        ("Straße", ["strasse"]),
        ("\ufb01lm caf\u00e9", ["film", "caf\u00e9"]),  # NFKC: the ligature fi
        ("snake_case", ["snake", "case"]),
        ("\u6620\u753b", ["\u6620", "\u753b"]),  # Japanese for film: no spaces between words
        (" ?! ", ["?!"]),
        ("", [""]),
    ],
)
def test_words_ignore_case_punctuation_and_spacing(text, expected):
    assert words(text) == expected


@given(st.integers(0, 10_000), st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_no_training_text_is_related_to_a_search_text(seed, wanted):
    rows = sentences(120, seed=seed)
    try:
        parts = split(rows, wanted, seed)
    except DataError:
        assume(False)
    train, search = rows.take(parts.train), rows.take(parts.search)
    assert len(search) == wanted
    assert len(set(map(normal, search.texts[0]))) == wanted
    for one, other in itertools.product(train.texts[0], search.texts[0]):
        assert not related(normal(one), normal(other))


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_every_dropped_row_is_accounted_for_and_related_to_something(seed):
    rows = sentences(120, seed=seed)
    parts = split(rows, 8, 0)
    dropped = set(range(120)) - set(parts.train.tolist()) - set(parts.search.tolist())
    assert len(dropped) == parts.conflicting + parts.repeats + parts.related
    search = [normal(text) for text in rows.take(parts.search).texts[0]]
    idle = [
        row
        for row in dropped
        if not any(related(normal(rows.texts[0][row]), text) for text in search)
    ]
    assert len(idle) <= parts.conflicting


@given(st.integers(0, 10_000), st.permutations(range(90)), st.sampled_from([1, 2]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(seed, order, columns):
    rows = sentences(90, columns, seed, vocabulary=2_000 if columns == 2 else 40)
    moved = rows.take(np.array(order))

    def content(some):
        return sorted(zip(*some.texts, some.labels.tolist(), strict=True))

    before, after = split(rows, 8, 1), split(moved, 8, 1)
    for part in ("train", "search"):
        one, other = rows.take(getattr(before, part)), moved.take(getattr(after, part))
        assert content(one) == content(other)
        for most in (5, 20):
            assert content(one.take(capped(one, most, 0))) == content(
                other.take(capped(other, most, 0))
            )


def unrelated(rows, seed=0):
    """Rows of five words that occur nowhere else."""
    made = [" ".join(f"x{seed}y{row}z{place}" for place in range(5)) for row in range(rows)]
    return Rows((made,), np.arange(rows) % 2)


def test_adding_unrelated_rows_moves_only_as_many_search_rows_as_it_must():
    old, new = unrelated(500), unrelated(5, seed=1)
    both = Rows((old.texts[0] + new.texts[0],), np.concatenate((old.labels, new.labels)))
    before, after = split(old, 50, 0), split(both, 50, 0)
    came = sum(row >= 500 for row in after.search)
    # The 50 lowest hashes of 505 are those of 500, but for the new rows among them.
    assert len(set(before.search) - set(after.search)) == came <= 5


def test_another_seed_draws_other_rows_and_the_same_seed_the_same():
    rows = unrelated(400)
    one, again, other = (set(split(rows, 40, seed).search.tolist()) for seed in (0, 0, 1))
    assert one == again
    assert len(one & other) < 20  # 4 of 40 by chance


def test_pairs_that_share_a_long_text_stay_on_one_side_and_short_second_texts_do_not_count():
    premises = [f"p{i}a p{i}b p{i}c p{i}d p{i}e p{i}f" for i in range(40) for _ in range(3)]
    hypotheses = ["yes" if row % 3 == 0 else f"h{row} i j k l m" for row in range(120)]
    rows = Rows((premises, hypotheses), np.arange(120) % 3)
    parts = split(rows, 12, 0)
    train, search = rows.take(parts.train), rows.take(parts.search)
    assert set(train.texts[0]).isdisjoint(search.texts[0])
    assert len(search) == 12
    assert "yes" in train.texts[1]
    assert "yes" in search.texts[1]


def test_a_chain_of_pairs_is_one_group_in_whichever_column_the_shared_text_stands():
    def question(i):
        return f"q{i}a q{i}b q{i}c q{i}d q{i}e"

    chain = [(question(i), question(i + 1)) for i in range(4)] + [(question(9), question(0))]
    others = [(question(100 + 2 * i), question(101 + 2 * i)) for i in range(60)]
    pairs = chain + others
    rows = Rows(tuple(map(list, zip(*pairs, strict=True))), np.arange(65) % 2)
    drawn = 0
    for seed in range(20):
        parts = split(rows, 10, seed)
        search, train = set(parts.search.tolist()), set(parts.train.tolist())
        drawn += bool(search & set(range(5)))
        assert not (train & set(range(5)) and search & set(range(5)))
    assert drawn  # in 20 seeds, at one chance in six each


def test_conflicting_labels_of_one_text_follow_the_majority_and_a_tie_drops_all():
    rows = unrelated(50)
    texts = rows.texts[0] + ["u v w x y"] * 3 + ["l m n o p"] * 2
    labels = np.concatenate((rows.labels, [1, 1, 0, 1, 0]))
    parts = split(Rows((texts,), labels), 5, 0)
    assert parts.conflicting == 1 + 2
    kept = set(parts.train.tolist()) | set(parts.search.tolist())
    assert 52 not in kept
    assert kept.isdisjoint({53, 54})
    assert len(kept & {50, 51}) == (1 if 50 in parts.search or 51 in parts.search else 2)


def test_the_fullest_spelling_of_a_repeated_sentence_is_kept_for_the_search():
    texts = [t for i in range(30) for t in (f"a{i} b{i} c{i}", f"A{i} b{i} c{i} .")]
    parts = split(Rows((texts,), np.arange(60) // 2 % 2), 6, 0)
    assert all(row % 2 == 1 for row in parts.search)
    assert parts.repeats == 6


def test_the_cap_is_nested_and_keeps_the_shares_of_the_classes():
    rows = Rows(unrelated(1_000).texts, (np.arange(1_000) % 10 == 0).astype(np.int64))
    small, large = capped(rows, 100, 0), capped(rows, 400, 0)
    assert set(small) < set(large)
    assert rows.labels[small].sum() == 10  # a tenth of the rows are of class 1
    assert rows.labels[large].sum() == 40
    assert len(capped(rows, 2_000, 0)) == len(capped(rows, None, 0)) == 1_000


def test_the_cap_of_several_labels_keeps_the_share_of_the_rarest_and_of_none():
    labels = np.zeros((1_000, 3), np.float32)
    labels[:800, 0] = 1  # 800 rows; of them 100 have the second label, too, and 20 all three
    labels[:100, 1] = 1
    labels[:20, 2] = 1
    rows = Rows(unrelated(1_000).texts, labels)
    small, large = capped(rows, 100, 0), capped(rows, 500, 0)
    assert set(small) < set(large)
    # A tenth of the 20 rows with the rarest label, of the other 80, of the 700, and of the 200.
    assert [int(labels[small, one].sum()) for one in range(3)] == [80, 10, 2]
    assert int((labels[small].sum(axis=1) == 0).sum()) == 20


def test_conflicting_sets_of_labels_follow_the_majority():
    made, texts = unrelated(50), ["u v w x y"] * 3 + ["l m n o p"] * 2
    labels = np.zeros((55, 2), np.float32)
    labels[:50, 0] = made.labels
    labels[50:] = [[1, 1], [1, 1], [1, 0], [0, 0], [0, 1]]
    assert agreeing(Rows((made.texts[0] + texts,), labels)).tolist() == [*range(50), 50, 51]


@pytest.mark.parametrize("wanted", [100, 101, 5_000])
def test_more_search_rows_than_there_are_is_an_error_with_the_number_possible(wanted):
    with pytest.raises(DataError, match=r"task.search_rows: .* 100 can be drawn"):
        split(unrelated(100), wanted, 0)


def test_rows_that_all_hang_together_cannot_be_split_and_that_is_said():
    premise = ["the same premise of six words"] * 200
    rows = Rows((premise, [f"h{row} i j k l m" for row in range(200)]), np.arange(200) % 2)
    for wanted in (None, 20):
        with pytest.raises(DataError, match=r"20 rows sought, 0 found; .* share texts"):
            split(rows, wanted, 0)


def glue(shared, name, *columns):
    table = pq.read_table(shared / "data" / "glue" / name / "train.parquet")
    return Rows(
        tuple(table.column(column).to_pylist() for column in columns),
        table.column("label").to_numpy(),
    )


@pytest.mark.real
def test_sst2_is_split_without_a_search_phrase_in_train(shared):
    rows = glue(shared, "sst2", "sentence")
    parts = split(rows, None, 0)
    train = sorted(set(map(normal, rows.take(parts.train).texts[0])) - {""})
    search = [normal(text) for text in rows.take(parts.search).texts[0]]
    # All training texts as one string with bars between them: str.find is the oracle.
    everything = "".join(f"| {text} |" for text in train)
    assert not [text for text in search[::10] if f" {text} " in everything]
    members = [set(text.split()) for text in train]
    for text in search[::40]:
        # |A and B| >= 0.8 |A or B| is 9 |A and B| >= 4 (|A| + |B|).
        own, padded = set(text.split()), f" {text} "
        assert not [other for other in train if f" {other} " in padded]
        assert not [one for one in members if 9 * len(own & one) >= 4 * (len(own) + len(one))]
    # Drawn from the sentences: as long as those of the official validation split (19.5 words).
    mean = np.mean([len(text.split()) for text in rows.take(parts.search).texts[0]])
    assert 17 < mean < 22
    assert len(parts.train) > 50_000


@pytest.mark.real
def test_rte_is_split_without_a_premise_on_both_sides(shared):
    rows = glue(shared, "rte", "sentence1", "sentence2")
    parts = split(rows, None, 0)
    train, search = rows.take(parts.train), rows.take(parts.search)
    assert len(search) == 249
    seen = [[normal(text) for text in column] for column in (*train.texts, *search.texts)]
    assert set(seen[0]).isdisjoint(seen[2])
    long_train = {text for text in seen[0] + seen[1] if len(text.split()) >= 5}
    long_search = {text for text in seen[2] + seen[3] if len(text.split()) >= 5}
    assert long_train.isdisjoint(long_search)
    for text in sorted(long_search)[:200]:
        assert not [other for other in long_train if within(text, other) or within(other, text)]
