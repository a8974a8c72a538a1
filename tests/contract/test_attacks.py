"""What every attack promises, on a small BERT that has learned its task.

The task: which of three families of five words does a text hold most of. The model is trained on
texts and on pairs, knows the words, their pieces and single letters, and is right often enough
to be attacked: some rows are wrong, some hold, some flip.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from tune_distill.measure.robustness import robustness, select_rows
from tune_distill.robustness import ATTACKS, neighbours
from tune_distill.robustness.attacks import ORDERS
from tune_distill.robustness.attempt import RowOutcome
from tune_distill.robustness.constraints import changes_allowed, distance
from tune_distill.robustness.edits import EDITS
from tune_distill.robustness.masked import MaskedWords
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.search import attack
from tune_distill.robustness.stop_words import STOP_WORDS
from tune_distill.robustness.table import Table
from tune_distill.robustness.words import split

FAMILIES = (
    ("good", "great", "lovely", "superb", "brilliant"),
    ("bad", "awful", "dreary", "tedious", "wretched"),
    ("long", "short", "recent", "foreign", "silent"),
)
FILLERS = ("the", "film", "is", "a", "story", "of", "two", "actors", "and", "music", "it", "was")
WRONG, ROBUST, FLIPPED = RowOutcome
MAX_LENGTH = 24
ODD_TEXTS = [
    "",
    " ",
    "good",
    "a",
    "🎬🍿 good 👩‍👩‍👧 superb",
    "סרט טוב מאוד good",
    "فيلم رائع superb",
    "d'été naïve ǅungla ﬁlm good",
    "¹²³ ½ __ -- 2good4",
    "superb film " * 300,
    "g" * 600,
]
recipes = pytest.mark.parametrize("recipe", ATTACKS.values(), ids=ATTACKS)


@pytest.fixture(scope="module")
def tokenizer():
    return made_tokenizer()


@lru_cache
def made_tokenizer():
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*(word for family in FAMILIES for word in family), *FILLERS]
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *words,
        *letters,
        *("##" + x for x in letters),
    ]
    ids = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    core = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_max_length=512,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@lru_cache
def resources():
    """A table in which all neighbours are of a word's family but two words' last; a random LM."""
    table = Table.of(
        {
            word: [
                (family[at - 1], 0.9),
                (family[at - 2], 0.8),
                (FAMILIES[which - 1][at] if at < 2 else family[at - 3], 0.6),
            ]
            for which, family in enumerate(FAMILIES)
            for at, word in enumerate(family)
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(made_tokenizer()),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            initializer_range=0.5,
        )
        masked = MaskedWords(BertForMaskedLM(config).eval(), made_tokenizer(), "random")
    return Opened(table, table, masked)


def sentences(n, seed):
    """Texts of 4 to 12 words, and the family that 2 or 3 of them are of; one may be of another."""
    rng = np.random.default_rng(seed)
    texts, labels = [], rng.integers(0, len(FAMILIES), n)
    for label in labels:
        own = rng.choice(FAMILIES[label], rng.integers(2, 4)).tolist()
        other = rng.choice(FAMILIES[(label + rng.integers(1, 3)) % 3], rng.integers(0, 2)).tolist()
        words = own + other + rng.choice(FILLERS, rng.integers(2, 9)).tolist()
        rng.shuffle(words)
        texts.append(" ".join(words))
    return texts, labels.astype(np.int64)


def pairs(texts):
    halves = [(text.split()[: len(text) // 12], text.split()[len(text) // 12 :]) for text in texts]
    return [" ".join(a) for a, _ in halves], [" ".join(b) for _, b in halves]


@pytest.fixture(scope="module")
def model(tokenizer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=512,
            num_labels=len(FAMILIES),
        )
        model = BertForSequenceClassification(config)
        optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for step in range(60):
            texts, labels = sentences(64, seed=step)
            columns = (texts,) if step % 2 else pairs(texts)
            batch = tokenizer(*columns, padding=True, return_tensors="pt")
            model(**batch, labels=torch.from_numpy(labels)).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def rows():
    texts, labels = sentences(60, seed=1000)
    labels[:6] = (labels[:6] + 1) % len(FAMILIES)  # wrong from the start
    return texts, labels


def run(model, tokenizer, texts, labels, recipe, **more):
    columns = texts if isinstance(texts, tuple) else (texts,)
    return attack(
        model,
        tokenizer,
        columns,
        labels,
        recipe,
        **{"max_length": MAX_LENGTH, "resources": resources(), **more},
    )


def predicted_alone(model, tokenizer, columns, row):
    """The class of one row, by the plain route: no batch, no padding."""
    one = [column[row] for column in columns]
    batch = tokenizer(*one, truncation=True, max_length=MAX_LENGTH, return_tensors="pt")
    with torch.no_grad():
        return int(model(**batch).logits.argmax())


def same(a, b):
    return (
        a.outcomes.tolist() == b.outcomes.tolist()
        and a.queries.tolist() == b.queries.tolist()
        and a.words_changed.tolist() == b.words_changed.tolist()
        and a.texts == b.texts
    )


@recipes
def test_the_rows_here_have_all_three_outcomes(model, tokenizer, rows, recipe):
    # Without which the tests below would hold for an attack that does nothing.
    outcomes = run(model, tokenizer, *rows, recipe).outcomes
    assert np.bincount(outcomes, minlength=3).min() >= 2


@recipes
@pytest.mark.parametrize(
    "limits",
    [
        {"budget": 7, "max_fraction": 1.0},
        {"budget": 30, "max_fraction": 0.1},
        {"budget": 1000, "max_fraction": 1.0, "max_words": 2},
        {"min_word_length": 7},
        {"budget": 1000, "max_fraction": 1.0, "max_words": 3, "max_distance": 3},
        {"budget": 9, "max_fraction": 1.0, "order": "unk"},
        {"budget": 15, "max_fraction": 1.0, "order": "saliency"},
        {"budget": 40, "search": "full", "max_words": 2},
    ],
)
def test_no_more_queries_or_edits_than_allowed(model, tokenizer, rows, recipe, limits):
    recipe = replace(recipe, **limits)
    texts, labels = rows
    result = run(model, tokenizer, texts, labels, recipe)
    assert result.queries.max() <= recipe.budget
    assert result.queries.min() >= 1
    for row, (clean, found) in enumerate(zip(texts, result.texts[0], strict=True)):
        before, changes = split(clean, recipe.joined), result.changes[row]
        words = [changes.get(place, word) for place, word in enumerate(before.words)]
        assert before.text(words) == found
        changed = [(old, new) for old, new in zip(before.words, words, strict=True) if old != new]
        assert len(changed) == len(changes) == result.words_changed[row]
        assert len(changed) <= changes_allowed(len(before.words), recipe)
        assert all(len(old) >= recipe.min_word_length for old, _ in changed)
        assert recipe.stop_words or not STOP_WORDS & {old for old, _ in changed}
        assert sum(distance(*pair) for pair in changed) <= (recipe.max_distance or 1000)
        assert result.words[row] == len(before.words)


@recipes
def test_an_adversarial_text_alone_flips_the_model_and_a_held_one_does_not(
    model, tokenizer, rows, recipe
):
    texts, labels = rows
    result = run(model, tokenizer, texts, labels, recipe)
    for row, outcome in enumerate(result.outcomes):
        clean = predicted_alone(model, tokenizer, (texts,), row)
        found = predicted_alone(model, tokenizer, result.texts, row)
        assert (clean == labels[row]) == (outcome != WRONG)
        assert (found == labels[row]) == (outcome == ROBUST)


@recipes
def test_a_row_already_wrong_is_skipped_and_counted_so(model, tokenizer, rows, recipe):
    texts, labels = rows
    result = run(model, tokenizer, texts, labels, recipe)
    wrong = result.outcomes == WRONG
    assert wrong[:6].all()
    assert (result.queries[wrong] == 1).all()
    assert (result.words_changed[wrong] == 0).all()
    assert [result.texts[0][row] for row in np.flatnonzero(wrong)] == [
        texts[row] for row in np.flatnonzero(wrong)
    ]


@recipes
@pytest.mark.parametrize("side", [0, 1])
def test_labels_and_the_other_side_of_a_pair_are_kept(model, tokenizer, rows, recipe, side):
    texts, labels = rows
    columns, given = pairs(texts), labels.copy()
    result = run(model, tokenizer, columns, labels, replace(recipe, side=side))
    assert (result.outcomes == FLIPPED).any()
    assert labels.tolist() == given.tolist()
    assert columns == pairs(texts)
    assert result.texts[1 - side] == columns[1 - side]
    assert result.texts[side] != columns[side]
    for row in np.flatnonzero(result.outcomes == FLIPPED):
        assert predicted_alone(model, tokenizer, result.texts, row) != labels[row]


@recipes
def test_the_same_attack_finds_the_same_texts(model, tokenizer, rows, recipe):
    assert same(run(model, tokenizer, *rows, recipe), run(model, tokenizer, *rows, recipe))


@recipes
@pytest.mark.parametrize("token_budget", [50, 100_000])
@pytest.mark.parametrize("order", ORDERS)
def test_the_size_of_a_forward_pass_decides_nothing(
    model, tokenizer, rows, recipe, order, token_budget
):
    recipe = replace(recipe, order=order)
    expected = run(model, tokenizer, *rows, recipe)
    assert same(run(model, tokenizer, *rows, recipe, token_budget=token_budget), expected)


@recipes
def test_the_order_and_the_company_of_rows_decide_nothing(model, tokenizer, rows, recipe):
    texts, labels = rows
    whole = run(model, tokenizer, texts, labels, recipe)
    some = np.random.default_rng(0).permutation(len(texts))[:40]
    part = run(model, tokenizer, [texts[row] for row in some], labels[some], recipe)
    assert part.outcomes.tolist() == whole.outcomes[some].tolist()
    assert part.queries.tolist() == whole.queries[some].tolist()
    assert part.texts == ([whole.texts[0][row] for row in some],)


@recipes
def test_what_a_budget_flips_every_larger_budget_flips(model, tokenizer, rows, recipe):
    budgets = [1, 2, 3, 5, 8, 13, 21, 34, 1000]
    results = [run(model, tokenizer, *rows, replace(recipe, budget=b)) for b in budgets]
    flipped = [result.outcomes == FLIPPED for result in results]
    assert not flipped[0].any()
    for smaller, larger in pairwise(flipped):
        assert (larger | ~smaller).all()
    assert flipped[-1].sum() > flipped[3].sum()
    assert flipped[5].any()


@pytest.mark.parametrize("order", ORDERS)
def test_a_larger_budget_flips_no_less_in_any_order(model, tokenizer, rows, order):
    recipe = replace(ATTACKS["char"], order=order, max_fraction=1.0)
    budgets = [1, 4, 9, 14, 20, 30, 50, None]
    results = [run(model, tokenizer, *rows, replace(recipe, budget=b)) for b in budgets]
    flipped = [result.outcomes == FLIPPED for result in results]
    for smaller, larger in pairwise(flipped):
        assert (larger | ~smaller).all()
    assert flipped[-1].sum() > flipped[2].sum()


@recipes
def test_another_seed_draws_other_letters_and_other_orders(model, tokenizer, rows, recipe):
    recipe = recipe if set(recipe.edits) & set(EDITS) else replace(recipe, order="random")
    results = [run(model, tokenizer, *rows, replace(recipe, seed=seed)) for seed in (0, 1)]
    assert results[0].texts != results[1].texts


@recipes
@pytest.mark.parametrize("paired", [False, True])
def test_odd_texts_survive(model, tokenizer, recipe, paired):
    # Each class as the label once, so that whatever the model says of a text, it is attacked.
    texts = [text for text in ODD_TEXTS for _ in FAMILIES]
    labels = np.tile(np.arange(len(FAMILIES)), len(ODD_TEXTS))
    columns = (texts, texts[::-1]) if paired else (texts,)
    result = run(model, tokenizer, columns, labels, recipe, max_length=512)
    assert (result.outcomes.reshape(-1, len(FAMILIES)) != WRONG).sum() >= len(ODD_TEXTS) - 1
    side = result.texts[-1]
    for clean, found, changes in zip(columns[-1], side, result.changes, strict=True):
        source = split(clean, recipe.joined)
        words = [changes.get(place, word) for place, word in enumerate(source.words)]
        assert source.text(words) == found
    if not paired:
        attacked = result.outcomes.reshape(-1, len(FAMILIES)) != WRONG
        assert (attacked.sum(axis=1) == 1).all()
        assert result.queries[:6].max() == 1  # empty and blank: nothing to edit


@recipes
def test_the_model_is_left_as_it_was_found(model, tokenizer, rows, recipe):
    model.train()
    model.bert.encoder.eval()
    modes = [module.training for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    try:
        result = run(model, tokenizer, *rows, recipe)
        assert [module.training for module in model.modules()] == modes
    finally:
        model.eval()
    assert same(result, run(model, tokenizer, *rows, recipe))  # no dropout while it ran
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not model.get_input_embeddings()._forward_hooks


@recipes
def test_an_outer_autocast_or_inference_mode_changes_nothing(model, tokenizer, rows, recipe):
    expected = run(model, tokenizer, *rows, recipe)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert same(run(model, tokenizer, *rows, recipe), expected)


@recipes
def test_the_arrays_of_a_result_are_read_only(model, tokenizer, rows, recipe):
    result = run(model, tokenizer, *rows, recipe)
    with pytest.raises(ValueError, match="read-only"):
        result.outcomes[0] = ROBUST


BUDGETS = {"char": 15, "pruthi": 100, "table": 30, "wordnet": 100, "textbugger": 15}


@pytest.mark.real
@pytest.mark.parametrize("name", BUDGETS)
def test_a_fine_tuned_bert_is_flipped_on_real_text(shared, tmp_path, name):
    folder = shared / "teachers" / "minilm-l6-sst2"
    teacher = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    table = pq.read_table(shared / "data" / "glue" / "sst2" / "validation.parquet").to_pydict()
    labels = np.array(table["label"])
    rows = select_rows(labels, n=60)
    kept = shared / "data" / "robustness"
    found = Opened(
        table=neighbours.read(kept / "counterfitted_neighbours_top8.parquet", "table"),
        wordnet=neighbours.read(kept / "wordnet_synonyms.parquet", "wordnet"),
    )
    report = robustness(
        teacher,
        AutoTokenizer.from_pretrained(folder),
        ([table["sentence"][row] for row in rows],),
        labels[rows],
        [replace(ATTACKS[name], budget=BUDGETS[name])],
        max_length=128,
        resources=found,
    )
    assert report.n == 60
    assert report.clean.value > 0.8
    assert report.robust_worst.value < 0.75 * report.clean.value
    assert report.robust_worst.interval.high < report.clean.value
