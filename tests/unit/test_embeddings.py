"""A model with fewer tokens computes what it did, of texts whose tokens all stay."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from tune_distill.teacher.embeddings import keep_tokens, renumber

WIDTH = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
INNER = {"intermediate_size": 24, "max_position_embeddings": 20}
FAMILIES = {
    "bert": WIDTH | INNER,
    "roberta": WIDTH | INNER,
    "albert": WIDTH | INNER | {"embedding_size": 8},
    "electra": WIDTH | INNER | {"embedding_size": 8},
    "distilbert": {"dim": 16, "n_heads": 2, "n_layers": 2, "hidden_dim": 24},
    "xlnet": {"d_model": 16, "n_head": 2, "n_layer": 2, "d_inner": 24},
}
TOKENS = 30


def model(family, **more):
    config = AutoConfig.for_model(
        family, vocab_size=TOKENS, num_labels=3, **FAMILIES[family], **more
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config).eval()


def logits(of, ids):
    with torch.no_grad():
        return of(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pad", [1, 4])
def test_logits_of_the_tokens_that_stay_are_the_same(family, pad):
    whole = model(family, pad_token_id=pad)
    kept = np.array([0, pad, 7, 8, 15, 22, 29])
    ids = torch.tensor([[2, 3, 6, 4], [5, 5, 2, 3]])  # in the new numbers
    before = logits(whole, torch.from_numpy(kept)[ids])
    smaller = copy.deepcopy(whole)
    keep_tokens(smaller, kept, pad_id=1)
    torch.testing.assert_close(logits(smaller, ids), before, rtol=0, atol=0)
    assert smaller.config.vocab_size == smaller.get_input_embeddings().num_embeddings == 7
    assert smaller.config.pad_token_id == 1


def test_a_roberta_whose_padding_gets_a_smaller_number_loses_positions_in_front():
    # It reads positions from the padding's number + 1 on: 20 rows for 20 - (4 + 1) = 15 tokens
    # with padding 4; with padding 1 the same 15 need 17.
    whole = model("roberta", pad_token_id=4)
    positions = whole.roberta.embeddings.position_embeddings.weight.clone()
    keep_tokens(whole, np.array([0, 4, 7]), pad_id=1)
    assert whole.config.max_position_embeddings == 17
    assert (whole.roberta.embeddings.position_embeddings.weight == positions[3:]).all()


def test_a_smaller_model_saves_and_loads(tmp_path):
    smaller = model("roberta", pad_token_id=4)
    keep_tokens(smaller, np.array([0, 4, 7, 8]), pad_id=1)
    smaller.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    ids = torch.tensor([[2, 3, 2]])
    assert (logits(again, ids) == logits(smaller, ids)).all()


def test_a_config_names_special_tokens_by_their_new_numbers_and_forgets_those_that_are_gone():
    config = AutoConfig.for_model(
        "roberta", vocab_size=TOKENS, pad_token_id=4, bos_token_id=9, eos_token_id=10
    )
    renumber(config, np.array([0, 4, 9, 20]), pad_id=1)
    assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (1, 2, None)
