"""The attacks that we ship, by name: each as near to a paper as it says, and where it differs.

Of all: the search is white-box by default (words in order of their gradient), at the fidelity of a
search (30 queries a row; the papers have no budget); the score is the gold logit's margin, not its
probability: the same order for two classes. No word is changed twice. None of them tests with a
sentence encoder or a tagger whether the meaning or the part of speech stays: neither is needed to
compare models, and `under("strict")` leaves less room for either to change.
"""

from __future__ import annotations

from tune_distill.robustness.attacks import Attack


def char() -> Attack:
    """Character edits of DeepWordBug (Gao et al. 2018, arXiv 1801.04354): no resource.

    Four edits a word, one random site each; at most 30 Levenshtein edits a text, as in the paper.
    Deviations: order by gradient (theirs spends queries on scoring each word); at most 30 % of the
    words; words of 1 and 2 letters are left alone, stop words are not (TextAttack spares them).
    """
    edits = ("swap", "substitute", "delete", "insert")
    return Attack("char", edits, max_fraction=0.3, max_distance=30)


def pruthi() -> Attack:
    """One typing error in one word (Pruthi et al. 2019, arXiv 1905.11268): no resource.

    All swaps, deletions, insertions and keyboard slips inside words of 4 letters or more; first and
    last letter stay; one word, the worst of all. Deviations: one letter, not 26, is inserted at a
    site, and stop words are spared, both as in TextAttack; the first error that flips is enough.
    """
    edits = ("swaps", "deletions", "insertions", "slips")
    return Attack("pruthi", edits, "full", max_words=1, min_word_length=4, stop_words=False)


def table() -> Attack:
    """Greedy swaps of words for their neighbours in a table: resource `table`.

    TextFooler's search (Jin et al. 2020, arXiv 1907.11932) without its constraints, so not by its
    name: no part of speech, no sentence encoder. What bounds it is the table (of counter-fitted
    vectors, say) and at most 30 % of the words. Stop words are spared.
    """
    return Attack(
        "table", ("table",), max_fraction=0.3, min_word_length=2, stop_words=False, joined=True
    )


def wordnet() -> Attack:
    """PWWS: WordNet synonyms by weighted saliency (Ren et al. 2019, ACL P19-1103): `wordnet`.

    Words by softmax(saliency) x best gain, then each to its best synonym, until the label flips; no
    limit on the words. Deviations: a word's best synonym is chosen again in the text as it is by
    then, and stop words are spared, both as in TextAttack; a synonym that flips the model alone
    ends the search at once; named entities are not swapped; with more than two classes a
    probability is that against the strongest other class. TextAttack 0.3.11 takes the score after
    the best swap for its gain; we do as the paper. It asks for every synonym of every word first,
    so a small budget ends there: 100 queries a row are a good one, or another order.
    """
    return Attack(
        "wordnet",
        ("wordnet",),
        order="saliency",
        min_word_length=2,
        stop_words=False,
        joined=True,
    )


def bae() -> Attack:
    """BAE-R: words that a masked language model expects there: resource `masked_lm`.

    Garg and Ramakrishnan 2020 (arXiv 2004.01970). The whole words among the 50 likeliest tokens
    for the hidden word, in the text as it is by then. Deviations: order by gradient (`delete` is
    the paper's); at most 30 % of the words, in place of a sentence encoder at 0.936 and equal parts
    of speech; of a pair the model reads the edited side alone. Without those constraints a text's
    label often changes with the text: a bound, no truth.
    """
    return Attack(
        "bae",
        ("masked_lm",),
        max_fraction=0.3,
        stop_words=False,
        neighbours=50,
        joined=True,
    )


def textbugger() -> Attack:
    """TextBugger's five bugs (Li et al. 2019, arXiv 1812.05271), white-box: resource `table`.

    A space inside, a letter gone, two swapped, one made similar, or one of the 5 nearest words;
    the best of them, words in order of their gradient, as in the paper's white-box attack.
    Deviations: at most 30 % of the words in place of a sentence encoder at 0.8; neighbours are
    the table's, not GloVe's; one hash-drawn site a bug.
    """
    bugs = ("space", "cut", "inner", "similar")
    return Attack("textbugger", (*bugs, "table"), max_fraction=0.3, stop_words=False, neighbours=5)


ATTACKS: dict[str, Attack] = {
    made.name: made for made in (char(), pruthi(), table(), wordnet(), bae(), textbugger())
}
