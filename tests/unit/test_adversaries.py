"""Adversarial rows beside an update's own: found beforehand, or in the loop."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.hardened import World
from tune_distill.errors import DataError
from tune_distill.hardening import HARDENINGS, Adversaries
from tune_distill.methods import METHODS, TaskShape
from tune_distill.robustness import ATTACKS
from tune_distill.robustness.frozen import attacked, keep, opened, recipe_of
from tune_distill.signals import Needs
from tune_distill.spec import TrainSpec
from tune_distill.train.adversaries import Beside
from tune_distill.train.course import updates_of

AUGMENT, ATTACK = HARDENINGS["augment"], HARDENINGS["attack"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("tokenizer"))


def beside(world, defence, seed=3):
    return Beside(defence, world.texts, world.data.labels, 8, seed, "cpu")


def test_an_update_learns_from_adversarial_rows_as_if_they_were_of_its_batch(world):
    update = world.update(world.model(seed=1), hardening=AUGMENT(ratio=0.5))
    other = world.update(update.student, hardening=AUGMENT(ratio=0.5)).adversaries()
    terms = AUGMENT(ratio=0.5).learn(update)

    rows = other.batch.rows
    assert len(rows) == 3  # half of 6
    assert other.batch.labels.tolist() == world.data.labels[rows].tolist()
    taught = world.taught(world.data.batch(rows), Needs(logits=True)).logits
    with torch.no_grad():
        own = update.student(**other.batch.inputs()).logits
        clean = update.student(**update.batch.inputs()).logits
    kd = METHODS["kd"]()

    def loss(logits, given, labels):
        soft = F.kl_div(
            F.log_softmax(logits / kd.temperature, -1),
            F.softmax(given / kd.temperature, -1),
            reduction="batchmean",
        )
        return (1 - kd.alpha) * F.cross_entropy(
            logits, labels
        ) + kd.alpha * kd.temperature**2 * soft

    robust = loss(own, taught, other.batch.labels)  # what it says of the clean text
    plain = loss(clean, update.seen.logits, update.batch.labels)
    assert terms["robust"].item() == pytest.approx(robust.item(), rel=1e-5)
    assert terms["total"].item() == pytest.approx(((6 * plain + 3 * robust) / 9).item(), rel=1e-5)


def test_a_frozen_set_is_used_up_before_a_row_comes_again_whenever_a_run_began(world):
    found = world.texts.frozen
    run = beside(world, AUGMENT(ratio=0.5))
    drawn = [run.rows(None, update // 5, update, 1)[1] for update in range(14)]  # 4 rows each
    flat = np.concatenate(drawn)
    for start in range(0, 56, len(found.rows)):  # 14 rows in the set
        assert sorted(flat[start : start + 14]) == found.rows.tolist()
    assert flat[:14].tolist() != flat[14:28].tolist()
    again = beside(world, AUGMENT(ratio=0.5))
    assert again.rows(None, 2, 11, 1)[1].tolist() == drawn[11].tolist()
    assert beside(world, AUGMENT(ratio=0.5), seed=4).rows(None, 0, 0, 1)[1].tolist() != (
        drawn[0].tolist()
    )


def test_an_epoch_attacks_what_the_rest_of_it_has_a_use_for_and_uses_it_once(world):
    student = world.model(seed=1, dropout=0.1).train()
    run = beside(world, ATTACK(ratio=0.5, queries=6))
    drawn = [run.rows(student, 0, update, 5 - update) for update in range(5)]
    right = run.found.rows
    assert len(right) <= 20  # half of 5 x 8; of them, those that the student has right
    used = np.concatenate([numbers for _, numbers in drawn])
    assert set(used.tolist()) == set(right.tolist())
    assert len(right) <= len(used) < len(right) + 5 <= 25
    assert student.training
    assert all(parameter.grad is None for parameter in student.parameters())
    first = run.found
    run.rows(student, 1, 5, 5)
    assert run.found is not first
    assert set(run.found.rows.tolist()) != set(right.tolist())


def test_what_an_attack_leaves_is_kept_where_the_model_was_right_and_a_word_changed(world):
    model, rows = world.model(seed=1), np.arange(12)
    defence = ATTACK(queries=8)
    found = attacked(
        model,
        world.texts.tokenizer,
        replace_rows(world, rows),
        rows,
        recipe_of(defence, "lax"),
        max_length=30,
        device="cpu",
        resources=world.texts.resources,
    )
    said = [
        model(**world.data.batch(np.array([row])).inputs()).logits.argmax().item() for row in rows
    ]
    right = [row for row in rows if said[row] == world.data.labels[row]]
    assert set(found.rows.tolist()) <= set(right)
    assert all(
        text != world.sentences[row] for row, text in zip(found.rows, found.texts[0], strict=True)
    )
    assert 0 <= found.flipped <= len(found.rows)
    assert found.labels.tolist() == world.data.labels[found.rows].tolist()


def replace_rows(world, rows):
    from tune_distill.tasks import Rows

    return Rows(([world.sentences[row] for row in rows],), world.data.labels[rows])


def test_rows_found_beforehand_are_filed_once_and_read_as_they_were(world, tmp_path):
    class Task:
        key, max_length = "task", 30

        @staticmethod
        def rows(split):
            assert split == "train"
            return replace_rows(world, np.arange(40))

    said, chosen = [], np.array([3, 5, 8, 13])
    given = {"root": tmp_path, "resources": world.texts.resources, "device": "cpu"}

    def made(defence):
        recipe = recipe_of(defence, "strict")
        tokenizer, model = world.texts.tokenizer, world.model(seed=1)
        return keep(model, tokenizer, "digest", Task, chosen, recipe, say=said.append, **given)

    folder = made(AUGMENT(queries=8))
    assert made(AUGMENT(queries=8, rows=7, ratio=0.9)) == folder  # the rows are given here
    assert len(said) == 1
    assert made(AUGMENT(queries=9)) != folder
    assert made(AUGMENT(queries=8, recipe="table")) != folder
    found = opened(folder)
    assert set(found.rows.tolist()) <= set(chosen.tolist())
    assert len(found.texts[0]) == len(found.labels) == len(found.rows)
    (folder / "rows.json").write_text("{")
    opened.cache_clear()
    with pytest.raises(DataError, match="delete the folder"):
        opened(folder)


def test_a_defence_without_its_rows_says_so(world):
    bare = Beside(AUGMENT(), replace(world.texts, frozen=None), world.data.labels, 8, 0, "cpu")
    with pytest.raises(DataError, match="augment needs the rows that were found beforehand"):
        bare.rows(None, 0, 0, 1)


def test_attacks_in_the_loop_begin_after_a_clean_part():
    assert ATTACK().start(100) == 25  # A2T: one epoch of four
    assert ATTACK(clean=0.0).start(100) == 0
    assert ATTACK(stage="after", share=0.3).start(100) == 70
    # 1 + 0.2 of the rows: learned from, ordered by a gradient (2/3), and 30 queries of a third.
    assert ATTACK().passes == pytest.approx(1 + 0.2 * (1 + 2 / 3 + 10))
    assert ATTACK().cost == pytest.approx(1 + 0.75 * 0.2 * (1 + 2 / 3 + 10))
    assert AUGMENT(ratio=0.25).cost == 1.25


def test_the_recipes_of_the_defences_are_those_of_the_attacks():
    assert get_args(get_type_hints(Adversaries)["recipe"]) == tuple(ATTACKS)
    reason = ATTACK().check(METHODS["kd"](), TaskShape(1, "regression"))
    assert "a number a row" in reason[0]


@pytest.mark.parametrize(
    ("cost", "expected"),
    [(1.0, 12), (2.0, 6), (1.65, 7), (100.0, 1)],  # 3 epochs of 4 updates; 12 / 1.65 = 7.3
)
def test_a_budget_of_compute_divides_the_updates_by_the_cost(cost, expected):
    config = TrainSpec(batch_size=8, epochs=3, budget="compute")
    assert updates_of(config, 30, cost) == expected
    assert updates_of(config.model_copy(update={"budget": "epochs"}), 30, cost) == 12
