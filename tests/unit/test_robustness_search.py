"""The search on a model small enough to follow by hand.

The model adds up the squares of its tokens' one-dimensional embeddings:

    logits = (1, sum of e^2)      e(odd) = 2, e(egg) = 1.5, every other token 0

so that the gradient of the margin with respect to a token's embedding is ±2e. Its vocabulary has
whole words only: any edited word is [UNK], and the four edits tie.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast

from tune_distill.errors import DataError
from tune_distill.measure.robustness import masked_gradients, robustness, select_rows
from tune_distill.robustness import ATTACKS
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.saliency import word_weights
from tune_distill.robustness.scorer import Scorer, buckets, margins
from tune_distill.robustness.search import attack
from tune_distill.robustness.words import split

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "an", "odd", "egg", "film", "and")
VALUES = {"odd": 2.0, "egg": 1.5}
CHAR = replace(ATTACKS["char"], max_fraction=1.0)
WRONG, ROBUST, FLIPPED = RowOutcome


class SquareSum(nn.Module):
    def __init__(self, vocabulary, values, outputs=2):
        super().__init__()
        self.embeddings = nn.Embedding(len(vocabulary), 1)
        self.embeddings.weight.data = torch.tensor([[values.get(w, 0.0)] for w in vocabulary])
        self.config = SimpleNamespace(num_labels=outputs)
        self.texts_seen = 0

    def get_input_embeddings(self):
        return self.embeddings

    def forward(self, input_ids, attention_mask):
        self.texts_seen += len(input_ids)
        squares = self.embeddings(input_ids)[..., 0] ** 2 * attention_mask
        total = squares.sum(dim=1)
        return SimpleNamespace(logits=torch.stack([torch.ones_like(total), total], dim=1))


def wrapped(tokenizer, **special):
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@pytest.fixture
def tokenizer():
    ids = {word: number for number, word in enumerate(VOCABULARY)}
    core = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return wrapped(core, pad_token="[PAD]", unk_token="[UNK]")


@pytest.fixture
def model():
    return SquareSum(VOCABULARY, VALUES)


def run(model, tokenizer, texts, labels, recipe=CHAR, max_length=16):
    columns = texts if isinstance(texts, tuple) else (texts,)
    return attack(model, tokenizer, columns, np.array(labels), recipe, max_length=max_length)


def test_the_flipped_text_is_the_one_derived_by_hand(model, tokenizer):
    # margin = 4 - 1 = 3. "an" is too short; |gradient| is 2·2 at "odd", 0 at "film", so "odd" is
    # first. All its edits are [UNK]: margin 0 - 1 < 0, and the swap is the first of them;
    # "odd" has one pair of unlike neighbours, so the swap is "dod". 1 + 4 queries.
    result = run(model, tokenizer, ["an odd film"], [1])
    assert result.texts == (["an dod film"],)
    assert result.outcomes.tolist() == [FLIPPED]
    assert result.queries.tolist() == [5]
    assert result.words_changed.tolist() == [1]
    assert result.words.tolist() == [3]


# margin 4 + 2.25 - 1 = 5.25; without "odd" 1.25, without "egg" too -1. Weights 4 and 3. The clean
# text is one query, then four for "odd"; of those for "egg" the first already flips.
@pytest.mark.parametrize(
    ("budget", "outcome", "queries", "text"),
    [
        (1, ROBUST, 1, "egg, odd film"),
        (2, ROBUST, 2, "egg, dod film"),
        (5, ROBUST, 5, "egg, dod film"),
        (6, FLIPPED, 6, "geg, dod film"),
        (8, FLIPPED, 8, "geg, dod film"),
        (30, FLIPPED, 9, "geg, dod film"),
    ],
)
def test_the_budget_cuts_the_search_where_it_ends(model, tokenizer, budget, outcome, queries, text):
    result = run(model, tokenizer, ["egg, odd film"], [1], replace(CHAR, budget=budget))
    assert result.outcomes.tolist() == [outcome]
    assert result.queries.tolist() == [queries]
    assert result.texts == ([text],)


@pytest.mark.parametrize("limit", [{"max_words": 1}, {"max_fraction": 1 / 3}])
def test_no_more_words_are_changed_than_allowed(model, tokenizer, limit):
    result = run(model, tokenizer, ["egg, odd film"], [1], replace(CHAR, **limit))
    assert result.outcomes.tolist() == [ROBUST]
    assert result.words_changed.tolist() == [1]


def test_a_word_whose_edits_change_nothing_is_left_as_it_was(model, tokenizer):
    # Label 0, margin 1 - 0: no edit can add to the sum. Both long words are tried: 1 + 4 + 4.
    result = run(model, tokenizer, ["an film and"], [0])
    assert result.outcomes.tolist() == [ROBUST]
    assert result.queries.tolist() == [9]
    assert result.texts == (["an film and"],)


def test_a_wrong_row_costs_one_query_and_is_not_edited(model, tokenizer):
    result = run(model, tokenizer, ["an odd film"], [0])
    assert result.outcomes.tolist() == [WRONG]
    assert result.queries.tolist() == [1]
    assert result.texts == (["an odd film"],)


@pytest.mark.parametrize(
    ("side", "expected"), [(0, ("dod film", "an egg")), (1, ("odd film", "an geg"))]
)
def test_only_the_chosen_side_of_a_pair_is_edited(model, tokenizer, side, expected):
    # margin 5.25: without "odd" 1.25, without "egg" 3
    result = run(
        model, tokenizer, (["odd film"], ["an egg"]), [1], replace(CHAR, side=side, max_words=1)
    )
    assert result.texts == tuple([text] for text in expected)


def test_the_second_text_of_a_pair_is_the_default(model, tokenizer):
    result = run(model, tokenizer, (["odd film"], ["an egg"]), [1])
    assert result.texts == (["odd film"], ["an geg"])


def test_a_word_beyond_truncation_is_never_edited(model, tokenizer):
    # [CLS] egg film [SEP] fills 4 tokens: "odd" is not read, so 2.25 - 1 is the margin.
    result = run(model, tokenizer, ["egg film odd"], [1], max_length=4)
    assert result.texts == (["geg film odd"],)
    assert result.queries.tolist() == [5]


def test_texts_of_the_same_tokens_reach_the_model_once(model, tokenizer):
    # One forward for the clean text; the four edits of "odd" are the same [UNK].
    run(model, tokenizer, ["an odd film"], [1])
    assert model.texts_seen == 2


def test_a_words_weight_is_the_norm_of_the_gradient_over_its_pieces(model, tokenizer):
    text = "An odd, egg 7"
    scorer = Scorer(model, tokenizer, max_length=16)
    logits, (weights,) = word_weights(scorer, [[text]], np.array([1]), [split(text)], 0)
    assert logits.tolist() == [[1.0, 6.25]]
    assert weights.tolist() == [0.0, 4.0, 3.0]


def test_the_other_text_of_a_pair_lends_no_weight(model, tokenizer):
    # "odd" lies over the characters of "an" in its own text only.
    scorer = Scorer(model, tokenizer, max_length=16)
    columns = [["odd film"], ["an egg"]]
    _, (weights,) = word_weights(scorer, columns, np.array([1]), [split("an egg")], 1)
    assert weights.tolist() == [0.0, 3.0]


def byte_level():
    letters = {c: n for n, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()), start=1)}
    core = Tokenizer(models.BPE({"<pad>": 0, **letters}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return core, ["<pad>", *letters]


def sentence_piece():
    vocabulary = ["<pad>", "<unk>", *"▁abcdefghijklmnopqrstuvwxyz'🎬שלוםé"]
    scores = [(piece, -1.0) for piece in vocabulary]
    core = Tokenizer(models.Unigram(scores, unk_id=1, byte_fallback=False))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    return core, vocabulary


@pytest.mark.parametrize("build", [byte_level, sentence_piece])
def test_pieces_find_their_words_under_other_tokenizers(build):
    # One piece a byte or character; e = 1 at "d" and 0 elsewhere, so a word weighs 2 a "d" in it.
    core, vocabulary = build()
    model = SquareSum(vocabulary, {"d": 1.0})
    text = "it's an odd🎬 שלום mad, café dad"
    scorer = Scorer(model, wrapped(core, pad_token="<pad>"), max_length=64)
    _, (weights,) = word_weights(scorer, [[text]], np.array([1]), [split(text)], 0)
    assert split(text).words == ("it", "s", "an", "odd", "שלום", "mad", "café", "dad")
    assert weights.tolist() == [0.0, 0.0, 0.0, 4.0, 0.0, 2.0, 0.0, 4.0]


def test_a_left_padding_tokenizer_weighs_the_same_words(model, tokenizer):
    texts = ["odd", "an egg film and odd"]
    words = [split(text) for text in texts]

    def weights(side):
        tokenizer.padding_side = side
        scorer = Scorer(model, tokenizer, max_length=16)
        return word_weights(scorer, [texts], np.array([1, 1]), words, 0)[1]

    for right, left in zip(weights("right"), weights("left"), strict=True):
        assert right.tolist() == left.tolist()
    assert left.tolist() == [0.0, 3.0, 0.0, 0.0, 4.0]


def test_the_margin_is_the_gold_logit_less_the_highest_other():
    logits = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]], np.float32)
    assert margins(logits, np.array([0, 1])).tolist() == [1.0, -2.0]


def test_a_pass_holds_no_more_tokens_than_the_budget_once_padded():
    # Sorted: 2 3 3 | 5 | 9. 3 rows x 3 = 9 fit in 10; a fourth row makes 4 x 5; 9 stands alone.
    assert [g.tolist() for g in buckets([9, 3, 2, 5, 3], 10)] == [[2, 1, 4], [3], [0]]


def test_a_row_longer_than_the_budget_has_a_pass_of_its_own():
    assert [g.tolist() for g in buckets([9, 9], 4)] == [[0], [1]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": np.array([2])}, r"classes 0\.\.1, got 2\.\.2"),
        ({"labels": np.array([0.5])}, "integer label"),
        ({"labels": np.array([0, 1])}, "each row"),
        ({"labels": np.empty(0, np.int64), "texts": ([],)}, "rows, got none"),
        ({"texts": (["a"], ["b"], ["c"])}, "one or two columns"),
        ({"recipe": replace(CHAR, side=1)}, "one or two columns"),
    ],
)
def test_rows_that_do_not_fit_are_refused(model, tokenizer, change, match):
    arguments = {"texts": (["odd"],), "labels": np.array([1]), "recipe": CHAR, **change}
    with pytest.raises(DataError, match=match):
        attack(model, tokenizer, max_length=16, **arguments)


def test_regression_is_refused(tokenizer):
    with pytest.raises(DataError, match="regression"):
        run(SquareSum(VOCABULARY, VALUES, outputs=1), tokenizer, ["odd"], [0])


def test_half_precision_is_refused(model, tokenizer):
    with pytest.raises(DataError, match=r"float32, got a model in torch\.float16"):
        run(model.half(), tokenizer, ["odd"], [1])


def test_a_model_that_has_diverged_is_refused(tokenizer):
    with pytest.raises(DataError, match="not finite"):
        run(SquareSum(VOCABULARY, {"odd": float("nan")}), tokenizer, ["odd"], [1])


def test_the_report_counts_what_was_derived_by_hand(model, tokenizer):
    # Row 0 flips (5 queries, 1 of 3 words); row 1 is wrong; rows 2 and 3 hold: "an" has no word
    # to edit, "film" is tried in vain. No word of 4 letters holds weight: under `short` none flips.
    texts = (["an odd film", "odd", "an", "an film"],)
    labels = np.array([1, 0, 0, 0])
    short = replace(CHAR, name="long words", min_word_length=4)
    report = robustness(model, tokenizer, texts, labels, [short, CHAR], max_length=16)
    assert report.n == 4
    assert report.clean.value == 0.75
    assert report.robust_worst.value == 0.5
    assert report.attacks["long words"].robust.value == 0.75
    char = report.attacks["char"]
    assert char.robust.value == 0.5
    assert char.success is not None
    assert char.success.value == pytest.approx(1 / 3)
    assert char.success.n == 3
    assert char.mean_queries == pytest.approx((5 + 1 + 5) / 3)
    assert char.words_changed == pytest.approx(1 / 3)
    # z^2 = 3.841459: centre (2 + z^2/2) / (4 + z^2) = 0.5 and half = z/(4 + z^2) sqrt(1 + z^2/4)
    # = 0.249952 x 1.400091 = 0.349955
    assert report.robust_worst.interval.low == pytest.approx(0.150045, abs=1e-5)


class Masked(SquareSum):
    """The same answers, and no gradient: as from rounding, or a step function."""

    def forward(self, input_ids, attention_mask):
        embedded = self.embeddings(input_ids)[..., 0] * attention_mask
        total = (embedded.detach() ** 2 + 0.0 * embedded).sum(dim=1)
        return SimpleNamespace(logits=torch.stack([torch.ones_like(total), total], dim=1))


def test_a_masked_gradient_is_found_by_leaving_words_out(tokenizer):
    # Without a gradient the words come as in the text: "film" costs 4 queries of 6 and "and" the
    # last, in vain. Leaving out the three costs 3 and finds "odd", whose first edit flips.
    rows = (["film and odd"],), np.array([1])
    model = Masked(VOCABULARY, VALUES)
    by_gradient, left_out = (
        robustness(model, tokenizer, *rows, [replace(CHAR, order=order, budget=6)], max_length=16)
        for order in ("gradient", "delete")
    )
    assert by_gradient.robust_worst.value == 1.0
    assert left_out.robust_worst.value == 0.0
    assert masked_gradients(by_gradient, left_out) == ["char"]
    assert masked_gradients(left_out, left_out) == []
    seen = robustness(
        SquareSum(VOCABULARY, VALUES), tokenizer, *rows, [replace(CHAR, budget=6)], max_length=16
    )
    assert masked_gradients(seen, left_out) == []


def test_the_orders_that_leave_words_out_by_hand(model, tokenizer):
    # margin 4 + 2.25 - 1 = 5.25; without "odd" 1.25, without "egg" 3, without "film" 5.25: three
    # queries, then "odd" (4) and the first edit of "egg" that flips. 1 + 3 + 4 + 4.
    for order in ("unk", "delete"):
        result = run(model, tokenizer, ["egg film, odd"], [1], replace(CHAR, order=order))
        assert result.texts == (["geg film, dod"],)
        assert result.queries.tolist() == [12]
    # 1 + 3 of 4 queries: an order that leaves none for an edit is not asked for
    result = run(model, tokenizer, ["egg film, odd"], [1], replace(CHAR, order="unk", budget=4))
    assert result.queries.tolist() == [1]


def test_weighted_saliency_surveys_every_word_first(model, tokenizer):
    # As above, and none of the 3 x 4 single edits flips: 1 + 3 + 12 asked; then "odd" is known,
    # and the four of "egg" beside it are new: 4.
    result = run(model, tokenizer, ["egg film, odd"], [1], replace(CHAR, order="saliency"))
    assert result.texts == (["geg film, dod"],)
    assert result.queries.tolist() == [20]


def test_a_model_that_is_always_wrong_has_no_success_rate(model, tokenizer):
    report = robustness(model, tokenizer, (["odd"],), np.array([0]), [CHAR], max_length=16)
    assert report.attacks["char"].success is None
    assert report.robust_worst.value == report.clean.value == 0.0


@pytest.mark.parametrize("recipes", [[], [CHAR, CHAR]])
def test_attacks_without_names_of_their_own_are_refused(model, tokenizer, recipes):
    with pytest.raises(DataError, match="each name once"):
        robustness(model, tokenizer, (["odd"],), np.array([1]), recipes, max_length=16)


def test_attack_rows_are_stratified_sorted_and_fixed():
    # 10 of 100 with classes 70/25/5: shares 7, 2.5, 0.5; the tie of remainders goes to the
    # lower class: 7, 3, 0.
    labels = np.repeat([0, 1, 2], [70, 25, 5])
    rows = select_rows(labels, n=10)
    assert np.bincount(labels[rows], minlength=3).tolist() == [7, 3, 0]
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() == select_rows(labels, n=10).tolist()
    assert rows.tolist() != select_rows(labels, n=10, seed=1).tolist()


def test_a_larger_sample_holds_the_smaller():
    labels = np.repeat([0, 1], [50, 50])
    assert set(select_rows(labels, n=10)) < set(select_rows(labels, n=40))


def test_all_rows_are_taken_where_there_are_fewer():
    assert select_rows(np.array([0, 1, 1]), n=400).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("labels", "n"), [(np.array([0.1, 0.2]), 1), (np.array([0, 1]), 0)])
def test_attack_rows_need_classes_and_a_count(labels, n):
    with pytest.raises(DataError, match="by class"):
        select_rows(labels, n=n)
