"""How hard the built-in corpus is for models that do not compose, and what it is made of.

Run it with `python benchmarks/corpus.py`; it needs scikit-learn, about 20 seconds and no network.
Each figure is the accuracy on the search split; C is chosen on a fifth of the training split.
"""

import re
import time
from collections import Counter
from collections.abc import Callable

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from tune_distill.tasks.builtin import reviews

WORD = re.compile(r"[a-z0-9'-]+")
STRENGTHS = (0.03, 0.1, 0.3, 1.0)  # of the logistic regression, C


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return WORD.findall(text.lower())


def bag_accuracy(corpus: reviews.Corpus, ngrams: int, keep: Callable[[str], bool]) -> float:
    """The accuracy of a logistic regression on counts of the words that are kept."""

    def texts(split: reviews.Split) -> list[str]:
        return [" ".join(word for word in words(text) if keep(word)) for text in split.texts]

    vectors = CountVectorizer(ngram_range=(1, ngrams), token_pattern=WORD.pattern)
    train = vectors.fit_transform(texts(corpus.train))
    labels, cut = corpus.train.labels, len(corpus.train.labels) * 4 // 5
    models = [LogisticRegression(C=strength, max_iter=400) for strength in STRENGTHS]
    chosen = max(
        models,
        key=lambda model: model.fit(train[:cut], labels[:cut]).score(train[cut:], labels[cut:]),
    )
    chosen.fit(train, labels)
    return float(chosen.score(vectors.transform(texts(corpus.search)), corpus.search.labels))


def describe(corpus: reviews.Corpus) -> None:
    """Print what the training split is made of."""
    rows = [words(text) for text in corpus.train.texts]
    counts = Counter(word for row in rows for word in row)
    lengths = np.array([len(row) for row in rows])
    frequent = sum(count >= 5 for count in counts.values())
    low, middle, high = np.percentile(lengths, (5, 50, 95))
    print(f"distinct words       {len(counts):,} ({frequent:,} at least 5 times)")
    print(f"words with synonyms  {len(reviews.synonyms()):,}")
    print(
        f"words a sentence     mean {lengths.mean():.1f}, 5 % {low:.0f}, median {middle:.0f}, "
        f"95 % {high:.0f}, shortest {lengths.min()}, longest {lengths.max()}"
    )


def main() -> None:
    """Print every figure."""
    start = time.perf_counter()
    corpus = reviews.corpus()
    print(f"generated in         {time.perf_counter() - start:.2f} s")
    describe(corpus)
    polar = reviews.grammar().lexicon.polar_words()
    print(f"best possible        {1 - reviews.NOISE_RATE:.3f}")
    print(f"word counts          {bag_accuracy(corpus, 1, lambda word: True):.3f}")
    print(f"  and word pairs     {bag_accuracy(corpus, 2, lambda word: True):.3f}")
    print(f"no polar words       {bag_accuracy(corpus, 1, lambda word: word not in polar):.3f}")
    print(f"  and word pairs     {bag_accuracy(corpus, 2, lambda word: word not in polar):.3f}")


if __name__ == "__main__":
    main()
