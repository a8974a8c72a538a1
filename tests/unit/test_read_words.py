"""A word table cut down to the rows that are read: the same training, with less arithmetic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests import tiny
from tune_distill.methods import METHODS
from tune_distill.spec import TrainSpec
from tune_distill.tasks import Encoded
from tune_distill.train import train
from tune_distill.train.optimise import optimizer_of
from tune_distill.train.words import ReadWords

CONFIG = TrainSpec(
    learning_rate=5e-3, batch_size=8, epochs=2, warmup=0.2, weight_decay=0.1, precision="float32"
)
UNREAD = np.arange(5, 10)  # of `tiny.rows`: 0 to 2 are special, 3 and 4 labels, words from 10 on


def trained(model, data, **more):
    return list(train(model, METHODS["finetune"](), data, CONFIG, seed=1, **more))


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "albert", "xlnet"])
def test_a_run_on_the_rows_that_are_read_is_the_run_on_all_of_them(monkeypatch, family):
    data = tiny.rows(60)
    own, dense = (tiny.teacher(family, dropout=0.1) for _ in range(2))
    found = trained(own, data)
    monkeypatch.setattr(Encoded, "words", lambda _: None)
    expected = trained(dense, data)
    for left, right in zip(found, expected, strict=True):
        assert left.losses == pytest.approx(right.losses, rel=1e-5)
    for (name, ours), theirs in zip(
        own.state_dict().items(), dense.state_dict().values(), strict=True
    ):
        # Where a gradient is nothing but rounding, Adam's step follows its sign.
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4, msg=name)


def test_rows_that_no_text_reads_are_decayed_and_nothing_else():
    model = tiny.bert()
    before = model.get_input_embeddings().weight.detach().clone()
    trained(model, tiny.rows(60))
    # 16 updates, round(0.2 * 16) = 3 of them warm up: 1/3, 2/3, 1, then (16 - update) / 13
    rates = [1 / 3, 2 / 3, 1.0, *((16 - update) / 13 for update in range(3, 16))]
    left = np.prod([1 - 5e-3 * 0.1 * rate for rate in rates])
    after = model.get_input_embeddings().weight.detach()
    torch.testing.assert_close(after[UNREAD], before[UNREAD] * left, rtol=1e-6, atol=0.0)


def test_the_table_is_whole_whenever_somebody_looks_and_after_an_error():
    model, data = tiny.bert(), tiny.rows(60)
    table = model.get_input_embeddings().weight
    for _ in train(model, METHODS["finetune"](), data, CONFIG, seed=1):
        assert model.get_input_embeddings().weight is table
        assert table.shape == (tiny.VOCABULARY, 16)
    run = train(model, METHODS["kd"](), data, CONFIG, seed=1, teacher=lambda batch, needs: None)
    with pytest.raises(ValueError, match="teacher"):
        next(run)
    assert table.shape == (tiny.VOCABULARY, 16)


def test_a_checkpoint_of_moments_of_all_rows_is_taken_up(tmp_path, monkeypatch):
    """As versions before 0.2 wrote them."""
    straight, resumed = (tiny.bert(dropout=0.0) for _ in range(2))
    expected = trained(straight, tiny.rows(60))
    with monkeypatch.context() as dense:
        dense.setattr(Encoded, "words", lambda _: None)
        run = train(
            tiny.bert(dropout=0.0),
            METHODS["finetune"](),
            tiny.rows(60),
            CONFIG,
            seed=1,
            checkpoint=tmp_path,
        )
        next(run)
        next(run)  # the first epoch is saved
    (last,) = trained(resumed, tiny.rows(60), checkpoint=tmp_path)
    assert last.losses == pytest.approx(expected[1].losses, rel=1e-5)


def test_padding_keeps_its_number_and_a_word_that_is_not_read_has_none():
    data = dataclasses.replace(tiny.rows(4), pad_id=6)
    model = tiny.bert()
    words = ReadWords.of(model, data, optimizer_of(model, CONFIG))
    assert words.places[:7].tolist() == list(range(7))
    unread = min(set(range(7, tiny.VOCABULARY)) - set(data.tokens.tolist()))
    with words.alone(), pytest.raises(IndexError):
        model(**words.renumbered({"input_ids": torch.tensor([[unread]])}))


def test_the_words_of_a_split_are_those_that_its_rows_hold(monkeypatch):
    data = tiny.rows(60)
    expected = sorted(set(data.tokens.tolist()))
    assert data.words().tolist() == expected
    monkeypatch.setattr("tune_distill.tasks.encoded._MARKED", 7)
    assert data.words().tolist() == expected
