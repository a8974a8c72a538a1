"""A smaller vocabulary: which tokens stay, and that texts read as before where theirs all stay."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast, RobertaTokenizer

from tests import tiny, tokens
from tune_distill.errors import DataError
from tune_distill.tasks import Rows, encode
from tune_distill.tasks.pruning import is_part, numbers_in, prune, same_tokens
from tune_distill.tasks.vocabulary import choose
from tune_distill.teacher import load_tokenizer

UNKNOWN_TOO = "sbljhld qpk!"  # words, and a character that no tokenizer of these knows


@pytest.fixture(scope="module", params=tokens.KINDS)
def whole(request, tmp_path_factory):
    return tokens.tokenizer(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory):
    return tokens.tokenizer("wordpiece", tmp_path_factory.mktemp("wordpiece"))


def counted(tokenizer, texts):
    made = [number for row in tokenizer(texts)["input_ids"] for number in row]
    return np.bincount(made, minlength=len(tokenizer))


def least(tokenizer):
    """The fewest tokens that may stay, as the refusal of a single one tells it."""
    with pytest.raises(DataError, match="can't spell every word") as refusal:
        choose(tokenizer, np.zeros(len(tokenizer), int), 1)
    return int(re.search(r"are (\d+);", str(refusal.value)).group(1))


def with_all_of(tokenizer, texts):
    """The smallest choice that holds all tokens of some texts."""
    counts = counted(tokenizer, texts)
    for size in range(least(tokenizer), len(tokenizer) + 1):
        kept = choose(tokenizer, counts, size)
        if set(np.flatnonzero(counts)) <= set(kept):
            return kept
    raise AssertionError("all tokens together hold all tokens")


def few(tokenizer):
    return choose(tokenizer, np.zeros(len(tokenizer), int), 80)


def pieces(tokenizer, texts):
    return [tokenizer.convert_ids_to_tokens(row) for row in tokenizer(texts)["input_ids"]]


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 40))
def test_texts_read_as_before_as_long_as_all_their_tokens_stay(
    whole, tmp_path_factory, seed, count
):
    texts = [*tokens.sentences(count, seed), UNKNOWN_TOO]
    kept = with_all_of(whole, texts)
    smaller = prune(whole, kept, tmp_path_factory.mktemp("pruned"))
    assert len(smaller) < len(whole)
    assert pieces(smaller, texts) == pieces(whole, texts)


def test_any_word_can_still_be_spelled_with_the_fewest_tokens(whole, tmp_path):
    kept = choose(whole, np.zeros(len(whole), int), least(whole))
    smaller = prune(whole, kept, tmp_path)
    texts = tokens.sentences(60, seed=11)
    for text, row in zip(texts, smaller(texts, add_special_tokens=False)["input_ids"], strict=True):
        assert smaller.unk_token_id not in row
        spelled = "".join(smaller.convert_ids_to_tokens(row))
        assert re.sub("##|Ġ|▁", "", spelled) == text.replace(" ", "")


def test_a_smaller_tokenizer_is_numbered_without_gaps_in_the_old_order(whole, tmp_path):
    kept = choose(whole, counted(whole, tokens.sentences(20)), least(whole) + 9)
    smaller = prune(whole, kept, tmp_path)
    assert len(kept) == len(smaller) == least(whole) + 9
    assert (np.diff(kept) > 0).all()
    names = smaller.convert_ids_to_tokens(list(range(len(smaller))))
    assert names == whole.convert_ids_to_tokens(kept.tolist())
    assert (numbers_in(smaller, whole) == kept).all()


def test_it_is_an_ordinary_tokenizer_that_saves_and_loads(whole, tmp_path):
    kept = choose(whole, counted(whole, tokens.sentences(20)), least(whole) + 9)
    smaller = prune(whole, kept, tmp_path / "one")
    smaller.save_pretrained(tmp_path / "two")
    again = AutoTokenizer.from_pretrained(tmp_path / "two")
    pair = ("sbljhld yko", "qpk ls")
    assert again(*pair) == smaller(*pair)
    assert type(again) is type(whole)
    assert again.special_tokens_map == whole.special_tokens_map
    assert again.model_max_length == whole.model_max_length
    # What stands around the texts is what stood there before, in new numbers.
    before, after = (
        each.convert_ids_to_tokens(each("yko", "yko")["input_ids"]) for each in (whole, again)
    )
    assert [t for t in after if t in whole.all_special_tokens] == [
        t for t in before if t in whole.all_special_tokens
    ]
    assert again.decode(again("yko")["input_ids"], skip_special_tokens=True).strip() == "yko"


def by_hand(tmp_path):
    vocabulary = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"]
    vocabulary += ["ab", "ba", "##ab", "aab", "bab"]
    made = BertTokenizer(vocab={t: i for i, t in enumerate(vocabulary)}, model_max_length=16)
    made.save_pretrained(tmp_path)
    return vocabulary, AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("size", "more"),
    [
        (9, set()),  # five special tokens, and four characters
        (10, {"ba"}),  # 5 times
        (11, {"ba", "ab"}),  # of those with 2 the one that is numbered first
        (12, {"ba", "ab", "bab"}),
        (13, {"ba", "ab", "bab", "##ab"}),  # never there; a text could need it
        (14, {"ba", "ab", "bab", "##ab", "aab"}),
        (15, {"ba", "ab", "bab", "##ab", "aab", "[unused0]"}),  # no text can
        (99, {"ba", "ab", "bab", "##ab", "aab", "[unused0]"}),
    ],
)
def test_the_most_frequent_tokens_stay_and_of_equal_ones_the_first(tmp_path, size, more):
    vocabulary, tokenizer = by_hand(tmp_path)
    counts = np.zeros(15, int)
    counts[[vocabulary.index("ba"), vocabulary.index("ab"), vocabulary.index("bab")]] = 5, 2, 2
    kept = choose(tokenizer, counts, size)
    always = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"}
    assert {vocabulary[number] for number in kept} == always | more


def test_a_bpe_token_stays_with_all_that_it_is_merged_from(tmp_path):
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "c", "ab", "bc", "abc", "cc"]
    # "abc" is made of "ab" and "c", or of "a" and "bc": which, is the text's affair.
    merges = [("a", "b"), ("b", "c"), ("ab", "c"), ("a", "bc"), ("c", "c")]
    RobertaTokenizer(
        vocab={t: i for i, t in enumerate(names)}, merges=merges, model_max_length=16
    ).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    counts = np.zeros(12, int)
    counts[[names.index("abc"), names.index("cc")]] = 7, 1

    def chosen(size):
        return {names[number] for number in choose(tokenizer, counts, size)} - set(names[:8])

    assert chosen(8) == set()
    assert chosen(9) == {"cc"}  # "abc" would need three
    assert chosen(11) == {"ab", "bc", "abc"}
    pruned = prune(tokenizer, choose(tokenizer, counts, 11), tmp_path / "pruned")
    assert pruned.tokenize("abc") == ["abc"]
    assert pruned.tokenize("cc") == ["c", "c"]


def test_characters_of_scripts_that_do_not_occur_go_first(tmp_path):
    """BERT knows 1,900 of them; two of 74 here, of which one occurs."""
    tiny.write_teacher(tmp_path / "whole")
    content = json.loads((tmp_path / "whole" / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    for character in ("ж", "ш"):
        vocabulary[character] = len(vocabulary)
    (tmp_path / "whole" / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = load_tokenizer(tmp_path / "whole")
    counts = np.zeros(len(tokenizer), int)
    counts[vocabulary["ж"]] = 1
    # 5 special tokens, 26 letters, each in and at the head of a word, and the one that occurs
    kept = tokenizer.convert_ids_to_tokens(choose(tokenizer, counts, 58).tolist())
    assert "ж" in kept
    assert "ш" not in kept


def test_too_few_tokens_are_refused_with_the_number_that_works(wordpiece):
    # 5 special tokens, 26 letters at the start of a word and 26 within.
    assert least(wordpiece) == 57
    with pytest.raises(DataError, match=r"student\.vocab: 56 tokens can't spell every word"):
        choose(wordpiece, np.zeros(len(wordpiece), int), 56)


def test_a_choice_depends_on_nothing_but_tokenizer_counts_and_size(whole):
    counts = counted(whole, tokens.sentences(30))
    once, again = (choose(whole, counts, least(whole) + 20) for _ in range(2))
    assert (once == again).all()


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (models.WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"), "the kind WordLevel"),
        (
            models.BPE({"a</w>": 0, "b": 1, "[UNK]": 2}, [], end_of_word_suffix="</w>"),
            "the kind BPE with affixes",
        ),
        (
            models.BPE({"a": 0, "b": 1, "[UNK]": 2}, [], byte_fallback=True),
            "the kind BPE with byte fallback",
        ),
    ],
)
def test_tokenizers_of_other_kinds_are_refused(model, what):
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    with pytest.raises(DataError, match=what):
        choose(tokenizer, np.zeros(3, int), 2)


def test_what_sets_special_tokens_in_an_unknown_way_is_refused(wordpiece, tmp_path, monkeypatch):
    from tune_distill.tasks import pruning

    def strange(tokenizer):
        return real(tokenizer) | {"post_processor": {"type": "Odd"}}

    real = pruning.content_of
    monkeypatch.setattr(pruning, "content_of", strange)
    with pytest.raises(DataError, match="sets special tokens by Odd"):
        prune(wordpiece, np.arange(60), tmp_path)


def test_a_tokenizer_whose_class_overrides_its_files_is_refused(tmp_path):
    _, tokenizer = by_hand(tmp_path)
    # Its class would build another normaliser when it is loaded than the one that is there now.
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    kept = choose(tokenizer, np.zeros(15, int), 10)
    with pytest.raises(DataError, match="is not loaded as it was written"):
        prune(tokenizer, kept, tmp_path / "pruned")


def test_rows_have_the_same_tokens_where_both_cover_the_same_characters(whole, tmp_path):
    texts = [*tokens.sentences(80, seed=5), UNKNOWN_TOO]
    kept = choose(whole, counted(whole, texts[:20]), least(whole) + 12)
    smaller = prune(whole, kept, tmp_path)
    rows = Rows((texts,), np.zeros(len(texts), np.int64))
    both = [encode(rows, each, 16) for each in (smaller, whole)]  # truncates some
    same = same_tokens(*both, numbers_in(smaller, whole))

    spans = [
        each(texts, truncation=True, max_length=16, return_offsets_mapping=True)["offset_mapping"]
        for each in (smaller, whole)
    ]
    expected = [left == right for left, right in zip(*spans, strict=True)]
    assert same.tolist() == expected
    assert 0 < same.sum() < len(same)


def test_a_vocabulary_is_part_of_another_or_not(wordpiece, tmp_path):
    smaller = prune(wordpiece, few(wordpiece), tmp_path / "smaller")
    bpe = tokens.tokenizer("bpe", tmp_path / "bpe")
    assert is_part(smaller, wordpiece)
    assert is_part(wordpiece, wordpiece)
    assert not is_part(wordpiece, smaller)
    assert not is_part(bpe, wordpiece)


def test_tokens_without_a_counterpart_make_a_row_differ(wordpiece, tmp_path):
    smaller = prune(wordpiece, few(wordpiece), tmp_path)
    rows = Rows((["yko", "zzz"],), np.zeros(2, np.int64))
    own, reference = encode(rows, wordpiece, 16), encode(rows, smaller, 16)
    numbers = numbers_in(wordpiece, smaller)
    assert (numbers == -1).sum() == len(wordpiece) - 80
    for row, same in enumerate(same_tokens(own, reference, numbers)):
        texts = [each.tokenize(rows.texts[0][row]) for each in (wordpiece, smaller)]
        assert same == (texts[0] == texts[1])
