"""The built-in corpus: what it holds, and that its labels follow from how it is built."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest

from tune_distill.tasks.builtin import reviews
from tune_distill.tasks.builtin.grammar import Slot
from tune_distill.tasks.builtin.lexicon import Scope, Urn

SPLITS = ("train", "search", "heldout")
WORD = re.compile(r"[a-z0-9'-]+")
FIRST = re.compile(r"[a-z-]+")


@pytest.fixture(scope="module")
def corpus() -> reviews.Corpus:
    return reviews.corpus()


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


@cache
def by_first_word(urn: Urn) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in map(plain, urn.words):
        found.setdefault(FIRST.match(word)[0], []).append(word)
    return found


class Recogniser:
    """Reads a sentence backwards: every sentiment with which the grammar can make it."""

    def __init__(self, text: str, scope: Scope) -> None:
        self.text = plain(text)
        self.scope = scope
        self.rules = reviews.grammar().rules
        self.ends = cache(self._ends)

    def sentiments(self) -> set[int]:
        return {sign for sign in (-1, 1) if len(self.text) in self.ends("sentence", "+", sign, 0)}

    def _ends(self, symbol: str, mode: str, sign: int, start: int) -> frozenset[int]:
        """Where a `symbol` that begins at `start` may end."""
        if symbol not in self.rules:
            urn = self.scope.urn(symbol, mode, sign)
            first = FIRST.match(self.text, start)
            known = by_first_word(urn).get(first[0], ()) if first else ()
            return frozenset(self._literal(word, start) for word in known) - {-1}
        found: set[int] = set()
        for form in self.rules[symbol].forms:
            here = {start}
            for part in form:
                here = {end for place in here for end in self._part(part, sign, place)} - {-1}
            found |= here
        return frozenset(found)

    def _part(self, part: str | Slot, sign: int, start: int) -> frozenset[int]:
        if isinstance(part, str):
            return frozenset({self._literal(part.lower(), start)})
        signs = {"+": (sign,), "-": (-sign,), "?": (-1, 1), "": (sign,)}[part.mode]
        return frozenset().union(*(self.ends(part.symbol, part.mode, one, start) for one in signs))

    def _literal(self, text: str, start: int) -> int:
        return start + len(text) if self.text.startswith(text, start) else -1


def plain(text: str) -> str:
    """Lower case, and one indefinite article instead of two."""
    return re.sub(r"\ban\b", "a", text.lower())


def sentiments(text: str) -> set[int]:
    scopes = reviews.grammar().lexicon.scopes
    return set().union(*(Recogniser(text, scope).sentiments() for scope in scopes))


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        # Evaluations side by side.
        ("The plot is superb, and I loved the ending.", 1),
        ("The soup was tasteless; the waiter was rude.", -1),
        # Negation turns one word round; "not only" does not.
        ("To be fair, the soup was not tasteless.", 1),
        ("In short, the room is far from comfortable.", -1),
        ("All in all, there was nothing dull about the dialogue.", 1),
        ("Overall, this film was a marvel.", 1),
        ("Overall, the battery isn't a marvel.", -1),
        ("Not only is the plot dull, the jokes are stale too.", -1),
        ("Frankly, the plot is not only dull but predictable.", -1),
        ("Frankly, the plot is not dull but gripping.", 1),
        ("Frankly, the plot is nothing short of gripping.", 1),
        # Contrast: what follows the turn counts.
        ("It starts great, yet the ending was awful.", -1),
        ("The plot is dull, but I adored the soundtrack.", 1),
        ("The plot was not dull, but I did not enjoy the soundtrack.", -1),
        # Concession: the main clause counts, before or after.
        ("Although the screen is lovely, the battery is awful.", -1),
        ("The screen is lovely, although the battery is awful.", 1),
        ("Despite the awful battery, the screen is lovely.", 1),
        # Comparison: the other thing's quality is a distractor, and the order matters.
        ("This film was better than the dire first part.", 1),
        ("This film was better than the superb first part.", 1),
        ("The dire first part was better than this film.", -1),
        ("Unlike the superb remake, the plot was boring.", -1),
        ("This film is less dull than the remake, and the plot is witty.", 1),
        # Other people's opinions.
        ("My uncle insisted that the plot was awful, but I enjoyed the ending.", 1),
        ("Anyone who calls this hotel filthy is mistaken.", 1),
        ("Anyone who calls this hotel filthy is correct.", -1),
        ("I disagree with the plumber from Oslo that the lobby is not ugly.", -1),
        # Prior expectations.
        ("I expected a masterpiece, and the plot is dull.", -1),
        ("I was told that the menu was great, yet the bread was mouldy.", -1),
        ("I thought it would be awful, and it was not.", 1),
        # Nested clauses: an operator over a negation, an opinion inside a relative clause.
        ("I do not think that the plot is dull.", 1),
        ("I do not think that the plot is not dull.", -1),
        ("Nobody could say that the plot is far from gripping.", 1),
        ("The plot, which my aunt called dull, is great, and I enjoyed the acting.", 1),
        # Irony cues.
        ("Superb? As if; we went last week.", -1),
        ("Superb? You bet; we went last week.", 1),
        ("The plot is superb, said nobody ever.", -1),
        ("Oh sure, the plot is not superb, and pigs can fly.", 1),
        # What it might have been.
        ("It could have been superb with another director, but the plot was dull.", -1),
        ("The plot might have been superb in other hands.", -1),
        # High is good or bad by what is high.
        ("The noise was high, whatever my boss said.", -1),
        ("The comfort was high, whatever my boss said.", 1),
        # Intensifiers and hedges turn nothing round.
        ("Overall, the plot is utterly dull.", -1),
        ("Overall, the plot is somewhat dull.", -1),
    ],
)
def test_a_sentence_labelled_by_hand_can_only_be_made_with_that_label(
    text: str, sentiment: int
) -> None:
    assert sentiments(text) == {sentiment}


def test_the_recogniser_refuses_what_the_grammar_does_not_make() -> None:
    assert sentiments("The plot is plot.") == set()
    assert sentiments("The soup is superb, and the ending is superb!") == set()


def test_rows_of_the_corpus_can_only_be_made_with_their_clean_label(
    corpus: reviews.Corpus,
) -> None:
    for text, label in zip(corpus.heldout.texts[:120], corpus.heldout.clean[:120], strict=True):
        assert sentiments(text) == {2 * label - 1}, text


def test_a_synonym_never_changes_the_label(corpus: reviews.Corpus) -> None:
    table = reviews.synonyms()
    swapped = 0
    for text, label in zip(corpus.search.texts[:60], corpus.search.clean[:60], strict=True):
        for match in re.finditer(r"[A-Za-z]+", text):
            for other in table.get(match[0].lower(), ())[:1]:
                made = text[: match.start()] + other + text[match.end() :]
                assert sentiments(made) == {2 * label - 1}, made
                swapped += 1
    assert swapped > 100


def test_synonyms_are_single_words_and_know_each_other() -> None:
    table = reviews.synonyms()
    assert len(table) > 700
    for word, others in table.items():
        assert word.isalpha()
        assert others
        assert word not in others
        assert all(word in table[other] for other in others)


def test_no_word_is_both_good_and_bad() -> None:
    lexicon = reviews.grammar().lexicon
    signs: dict[str, set[int]] = {}
    for lists in (lexicon.common, *lexicon.tenses, *lexicon.domains):
        for entry in lists.values():
            for sign, groups in entry.groups.items():
                for word in (word for group in groups for word in group):
                    signs.setdefault(word, set()).add(sign)
    assert [word for word, found in signs.items() if len(found) > 1] == []


def test_the_splits_have_the_sizes_and_types_promised(corpus: reviews.Corpus) -> None:
    assert [len(getattr(corpus, name).texts) for name in SPLITS] == [12_000, 1_500, 1_500]
    assert corpus.label_names == ("negative", "positive")
    for name in SPLITS:
        split = getattr(corpus, name)
        assert split.labels.dtype == split.clean.dtype == np.int64
        assert len(split.labels) == len(split.clean) == len(split.texts)


def test_the_corpus_is_the_same_everywhere(corpus: reviews.Corpus) -> None:
    digest = hashlib.sha256()
    for name in SPLITS:
        split = getattr(corpus, name)
        for row in zip(split.texts, split.labels.tolist(), split.clean.tolist(), strict=True):
            digest.update(("\t".join(map(str, row)) + "\n").encode())
    assert digest.hexdigest() == "1bee8fa0b8b822c84c11a2fe721e93337f6a39c83c25e3ab25745643b9a1c01f"


def test_no_sentence_comes_twice_whatever_its_case_and_punctuation(
    corpus: reviews.Corpus,
) -> None:
    bare = [
        "".join(c for c in text.lower() if c.isalnum())
        for name in SPLITS
        for text in getattr(corpus, name).texts
    ]
    assert len(set(bare)) == len(bare) == 15_000


@pytest.mark.parametrize("name", SPLITS)
def test_labels_are_balanced_and_wrong_at_the_known_rate(corpus: reviews.Corpus, name: str) -> None:
    split = getattr(corpus, name)
    size = len(split.labels)
    assert split.labels.mean() == split.clean.mean() == 0.5
    # 2 % of 12,000 are 240, of 1,500 are 30; half of them in each class.
    wrong = split.labels != split.clean
    assert wrong.sum() == {12_000: 240, 1_500: 30}[size] == reviews.NOISE_RATE * size
    assert split.clean[wrong].mean() == 0.5


def test_wrong_labels_are_spread_over_the_split(corpus: reviews.Corpus) -> None:
    wrong = np.flatnonzero(corpus.train.labels != corpus.train.clean)
    quarters = np.bincount(wrong // 3_000, minlength=4)
    # 60 expected in each quarter; sd of a binomial (240, 1/4) = 6.7, so 5 sd = 34.
    assert abs(quarters - 60).max() < 34


def test_the_vocabulary_and_the_lengths_are_those_of_short_reviews(
    corpus: reviews.Corpus,
) -> None:
    counts = Counter(word for text in corpus.train.texts for word in words(text))
    lengths = [len(words(text)) for text in corpus.train.texts]
    assert len(counts) > 1_500
    assert sum(count >= 5 for count in counts.values()) > 1_500
    assert min(lengths) >= 4
    assert max(lengths) <= 40
    assert 13 < np.mean(lengths) < 18


def test_articles_agree_with_the_sound_that_follows(corpus: reviews.Corpus) -> None:
    text = " ".join(corpus.train.texts).lower()
    assert re.findall(r"\ba [aeio][a-z]+", text) == []
    assert set(re.findall(r"\ban ([^aeiou][a-z]+)", text)) <= {"honest"}


def test_without_its_polar_words_a_sentence_says_nothing(corpus: reviews.Corpus) -> None:
    def frames(texts: list[str]) -> list[str]:
        return [" ".join(word for word in words(text) if word not in polar) for text in texts]

    polar = reviews.grammar().lexicon.polar_words()
    accuracy = bag_accuracy(
        frames(corpus.train.texts),
        corpus.train.labels,
        frames(corpus.heldout.texts),
        corpus.heldout.labels,
    )
    # Chance is 0.5; sd over 1,500 rows = sqrt(0.25 / 1500) = 0.013, so 3.5 sd = 0.045.
    assert abs(accuracy - 0.5) < 0.045


def test_a_bag_of_words_sees_part_of_the_sentiment(corpus: reviews.Corpus) -> None:
    train, heldout = corpus.train, corpus.heldout
    accuracy = bag_accuracy(train.texts, train.labels, heldout.texts, heldout.labels)
    assert 0.66 < accuracy < 0.80


def bag_accuracy(
    train: list[str], train_labels: np.ndarray, test: list[str], test_labels: np.ndarray
) -> float:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = CountVectorizer(token_pattern=WORD.pattern)
    model = LogisticRegression(C=0.1, max_iter=100)
    model.fit(vectors.fit_transform(train), train_labels)
    return float(model.score(vectors.transform(test), test_labels))
