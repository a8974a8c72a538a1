"""The defences: each formula by numpy or by embeddings that are put in from outside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.hardened import NEAR, Watched, World, embedded
from tune_distill.hardening import HARDENINGS
from tune_distill.hardening.ball import direction, project
from tune_distill.hardening.vat import smoothness
from tune_distill.methods import METHODS, TaskShape
from tune_distill.robustness.constraints import distance
from tune_distill.robustness.words import split
from tune_distill.spec import TrainSpec
from tune_distill.train import Texts, train
from tune_distill.train.hardened import words_of

CONFIG = TrainSpec(learning_rate=3e-3, batch_size=8, epochs=2, precision="float32")
PUSHED = ["fgm", "pgd", "freelb", "vat", "ard", "rslad"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("tokenizer"))


def learned(world, name, method="kd", rows=6, **knobs):
    """One update of a defence: (what it saw, its terms)."""
    update = world.update(world.model(seed=1), method, rows, Watched)
    return update, HARDENINGS[name](**knobs).learn(update)


def lengths(delta):
    return delta.flatten(1).norm(dim=1)


def weights(world, hardening, method="kd", dropout=0.1):
    model = world.model(seed=1, dropout=dropout)
    more = {"texts": world.texts, "teacher": world.taught}
    for _ in train(
        model, METHODS[method](), world.data, CONFIG, seed=4, hardening=hardening, **more
    ):
        pass
    return model.state_dict()


@pytest.mark.usefixtures("whole_table")
def test_freelb_of_one_step_without_noise_is_plain_training_bit_for_bit(world):
    plain = weights(world, None)
    freelb = weights(world, HARDENINGS["freelb"](steps=1, init=0.0))
    other = weights(world, HARDENINGS["freelb"](steps=2, init=0.0))
    assert all(torch.equal(plain[name], freelb[name]) for name in plain)
    assert not all(torch.equal(plain[name], other[name]) for name in plain)


@pytest.mark.parametrize("name", PUSHED)
def test_perturbations_stay_within_epsilon_and_off_the_padding(world, name):
    update, _ = learned(world, name, epsilon=0.3)
    padding = update.batch.attention_mask == 0
    assert padding.any()
    for delta in update.deltas:
        assert (delta[padding] == 0).all()
        assert (lengths(delta) <= 0.3 * update.unit * (1 + 1e-5)).all()
    assert lengths(update.deltas[-1]).min() > 0.01 * update.unit


def test_nothing_is_added_to_padding(world):
    update = world.update(world.model(seed=1), "tinybert", phase=0)  # it asks for the embeddings
    padding = update.batch.attention_mask == 0
    delta = torch.randn(update.still().shape, generator=torch.Generator().manual_seed(0))
    plain, moved = (update.forward(d).hidden[0] for d in (None, delta))
    assert torch.equal(plain[padding], moved[padding])
    assert not torch.isclose(plain[~padding], moved[~padding]).all(dim=-1).any()


def test_fgm_goes_epsilon_along_the_gradient_of_the_embeddings(world):
    update, terms = learned(world, "fgm", method="finetune", epsilon=0.4, weight=0.5)
    model, labels = world.model(seed=1), update.batch.labels
    embeddings, logits = embedded(model, update.batch)
    clean = F.cross_entropy(logits, labels)
    (slope,) = torch.autograd.grad(clean, embeddings)
    slope = slope * update.batch.attention_mask[..., None]
    unit = np.linalg.norm(model.bert.embeddings.word_embeddings.weight.detach(), axis=1).mean()
    expected = torch.stack([0.4 * unit * row / row.norm() for row in slope])

    torch.testing.assert_close(update.deltas[1], expected, rtol=1e-4, atol=1e-6)
    near = F.cross_entropy(embedded(model, update.batch, expected)[1], labels)
    assert terms["robust"].item() == pytest.approx(near.item(), rel=1e-5)
    assert terms["total"].item() == pytest.approx((clean + 0.5 * near).item(), rel=1e-5)


def test_fgm_adds_the_gradients_of_both_losses(world):
    update, _ = learned(world, "fgm", method="finetune", epsilon=0.4, weight=0.5)
    model = world.model(seed=1)
    for delta, weight in zip(update.deltas, (1.0, 0.5), strict=True):
        embeddings = model.get_input_embeddings()(update.batch.input_ids) + delta
        mask, types = update.batch.attention_mask, update.batch.token_type_ids
        made = model(inputs_embeds=embeddings, attention_mask=mask, token_type_ids=types)
        (weight * F.cross_entropy(made.logits, update.batch.labels)).backward()
    for (name, ours), theirs in zip(
        update.student.named_parameters(), model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_pgd_climbs_and_is_projected(world):
    update, terms = learned(world, "pgd", steps=3, step_size=0.5, epsilon=0.6)
    # Steps of 0.5 in nearly one direction would reach 1.5.
    assert lengths(update.deltas[1]).tolist() == pytest.approx([0.5 * update.unit.item()] * 6)
    assert lengths(update.deltas[-1]).tolist() == pytest.approx([0.6 * update.unit.item()] * 6)
    assert len(update.deltas) == 4
    assert terms["robust"] > terms["total"] - terms["robust"]


def test_freelb_is_the_mean_of_its_steps(world):
    update, terms = learned(world, "freelb", method="finetune", steps=3, init=0.2)
    model, labels = world.model(seed=1), update.batch.labels
    found = [F.cross_entropy(embedded(model, update.batch, d)[1], labels) for d in update.deltas]
    assert len(found) == 3
    assert terms["total"].item() == pytest.approx(sum(found).item() / 3, rel=1e-5)
    # Uniform noise has a standard deviation of its bound over sqrt 3, in each of n numbers.
    assert lengths(update.deltas[0]).mean().item() == pytest.approx(
        0.2 * update.unit.item() / math.sqrt(3), rel=0.1
    )


def test_a_ball_leaves_what_is_inside_and_shortens_what_is_not():
    delta = torch.tensor([[[3.0, 4.0]], [[0.3, 0.4]], [[0.0, 0.0]]])
    expected = torch.tensor([[[0.6, 0.8]], [[0.3, 0.4]], [[0.0, 0.0]]])
    torch.testing.assert_close(project(delta, torch.tensor(1.0)), expected)
    assert lengths(direction(delta)).tolist() == pytest.approx([1, 1, 0])


def test_smoothness_is_the_symmetric_divergence_and_least_where_nothing_moves():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(5, 3, generator=generator) for _ in range(2))
    p, q = (np.exp(x.numpy()) / np.exp(x.numpy()).sum(1, keepdims=True) for x in (a, b))
    expected = ((p - q) * np.log(p / q)).sum(1).mean()
    labels = torch.zeros(5, dtype=torch.long)
    assert smoothness(a, b, labels).item() == pytest.approx(expected, rel=1e-5)

    left, right = a.clone().requires_grad_(), a.clone().requires_grad_()
    same = smoothness(left, right, labels)
    same.backward()
    assert same.item() == pytest.approx(0, abs=1e-6)
    assert max(left.grad.abs().max(), right.grad.abs().max()) < 1e-6


def test_vat_needs_no_label(world):
    update = world.update(world.model(seed=1), "kd", kind=Watched)
    update.batch.labels[:] = -100
    torch.manual_seed(0)
    terms = HARDENINGS["vat"]().learn(update)
    assert terms["hard"] == 0
    assert terms["robust"] > 0
    model = world.model(seed=1)
    (_, clean), (_, near) = (embedded(model, update.batch, update.deltas[at]) for at in (0, -1))
    assert terms["robust"].item() == pytest.approx(
        smoothness(clean, near, update.batch.labels).item(), rel=1e-4
    )


def kl(teacher, student, temperature=1.0):
    p, q = (np.exp(x.astype(np.float64) / temperature) for x in (teacher, student))
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    return temperature**2 * (p * np.log(p / q)).sum(1).mean()


@pytest.mark.parametrize("name", ["ard", "rslad"])
def test_adversarial_distillation_is_as_published(world, name):
    update, terms = learned(world, name, alpha=0.7, steps=2)
    model, labels = world.model(seed=1), update.batch.labels
    still, first, *_, last = update.deltas
    logits = [embedded(model, update.batch, d)[1].detach().numpy() for d in (still, first, last)]
    given = update.seen.logits.numpy()
    cross = [F.cross_entropy(torch.from_numpy(x), labels).item() for x in logits]
    clean = cross[0] if name == "ard" else kl(given, logits[0])
    robust = kl(given, logits[-1], 4.0 if name == "ard" else 1.0)  # 4 is kd's temperature

    assert len(update.deltas) == 4
    assert terms["clean"].item() == pytest.approx(clean, rel=1e-4)
    assert terms["robust"].item() == pytest.approx(robust, rel=1e-4)
    assert terms["total"].item() == pytest.approx(0.3 * clean + 0.7 * robust, rel=1e-4)
    inner = cross if name == "ard" else [kl(given, x) for x in logits]
    assert inner[0] < inner[1] < inner[2]


def test_what_a_method_compares_inside_stays_beside_adversarial_distillation(world):
    _, terms = learned(world, "rslad", method="pkd", alpha=0.5)
    expected = (
        0.5 * terms["clean"] + 0.5 * terms["robust"] + METHODS["pkd"]().beta * terms["patience"]
    )
    torch.testing.assert_close(terms["total"], expected)


def test_all_passes_drop_the_same_and_leave_the_random_numbers_as_one_would(world):
    model = world.model(seed=1, dropout=0.3).train()
    torch.manual_seed(7)
    update = world.update(model)
    first, again = update.forward(), update.forward(update.still())
    after = torch.rand(1)
    torch.manual_seed(7)
    world.update(model).forward()
    assert torch.equal(first.logits, again.logits)
    assert torch.equal(after, torch.rand(1))
    assert not torch.equal(first.logits, world.update(model).forward().logits)


@pytest.mark.parametrize(
    ("name", "rate"), [("random_char", 0.15), ("random_char", 0.5), ("random_table", 0.3)]
)
def test_no_text_has_more_edits_than_the_rate_allows(world, name, rate):
    defence, changed = HARDENINGS[name](rate=rate), 0
    for row in range(len(world.data)):
        old = split(world.sentences[row]).words
        for epoch in range(3):
            new = split(text_of(world.texts, row, defence, epoch=epoch)).words
            assert len(new) == len(old)
            edits = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
            free = [w for w in old if (w in NEAR if name == "random_table" else len(w) >= 3)]
            assert len(edits) <= math.ceil(rate * len(free))
            for was, became in edits:
                if name == "random_table":
                    assert became in NEAR[was]
                else:  # a swap of neighbours is two of Levenshtein's
                    assert 1 <= distance(was, became) <= 2
            changed += len(edits) - rate * len(free)
    # Over 120 texts as many as the rate says: each is off by less than 1, without a bias.
    assert abs(changed) < 3 * math.sqrt(120 * 0.25)


def text_of(texts, row, defence, seed=1, epoch=0):
    """A row's perturbed text, by a tokenizer that only writes down what it is given."""
    said = []

    class Listening:
        def __getattr__(self, name):
            return getattr(texts.tokenizer, name)

        def __call__(self, *columns, **more):
            said.extend(columns[0])
            return texts.tokenizer(*columns, **more)

    own = Texts(texts.columns, Listening(), texts.max_length, texts.table)
    own.reworded(batch_of([row]), defence, seed, epoch)
    return said[0]


def batch_of(rows):
    from tune_distill.tasks import Batch

    one = torch.zeros(len(rows), 1, dtype=torch.long)
    return Batch(one, one, None, torch.zeros(len(rows), dtype=torch.long), np.array(rows))


@pytest.mark.parametrize("name", ["random_char", "random_table"])
def test_perturbed_texts_hang_on_seed_epoch_and_row_alone(world, name):
    defence = HARDENINGS[name](rate=0.5)

    def tokens(rows, seed=1, epoch=0):
        made = world.texts.reworded(world.data.batch(np.array(rows)), defence, seed, epoch)
        pairs = zip(made.input_ids, made.attention_mask.sum(1), strict=True)
        return {row: ids[:n].tolist() for row, (ids, n) in zip(rows, pairs, strict=True)}

    straight = tokens(list(range(20)))
    assert tokens(list(range(19, -1, -1))) == straight
    assert tokens([7]) == {7: straight[7]}
    assert tokens(list(range(20)), epoch=1) != straight
    assert tokens(list(range(20)), seed=2) != straight


def test_a_reworded_row_keeps_its_label_and_both_texts_of_a_pair(world):
    pair = Texts((world.sentences, world.sentences[::-1]), world.texts.tokenizer, 30)
    batch = world.data.batch(np.array([5, 3]))
    made = pair.reworded(batch, HARDENINGS["random_char"](rate=0.5), 1, 0)
    assert made.labels is batch.labels
    assert made.rows.tolist() == [5, 3]
    assert (made.input_ids == world.texts.tokenizer.sep_token_id).sum(1).tolist() == [2, 2]


def test_random_words_are_weighed_against_the_rows_as_they_are(world):
    whole, terms = learned(world, "random_char", method="pkd", weight=0.25, rate=0.5)
    clean = whole.loss(whole.forward())["total"]
    assert terms["total"].item() == pytest.approx(
        (0.75 * clean + 0.25 * terms["robust"]).item(), rel=1e-5
    )
    alone, terms = learned(world, "random_char", weight=1.0, rate=0.5)
    assert alone.deltas == []  # no pass over the clean rows
    assert terms["total"] == terms["robust"]


def test_the_last_updates_are_hardened_where_the_stage_is_after():
    after = HARDENINGS["freelb"](stage="after", share=0.25, steps=3)
    assert after.start(100) == 75
    assert HARDENINGS["freelb"](share=0.25).start(100) == 0
    assert after.cost == pytest.approx(1 + 0.25 * 2)  # a quarter of the updates takes 3 passes


def test_perturbations_grow_as_a_stage_begins(world, monkeypatch):
    units = []
    fgm = HARDENINGS["fgm"]

    def watched(self, update, learn=fgm.learn):
        units.append((update.unit / words_of(update.student).norm(dim=1).mean()).item())
        return learn(self, update)

    monkeypatch.setattr(fgm, "learn", watched)
    still = CONFIG.model_copy(update={"learning_rate": 1e-9})  # the embeddings stay as long
    defence = fgm(stage="after", share=0.8, rise=0.5)
    list(
        train(
            world.model(seed=1), METHODS["finetune"](), world.data, still, seed=4, hardening=defence
        )
    )
    # 40 rows in batches of 8, twice: updates 2 to 9 are hardened, and grow in the first 4.
    assert units == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1], rel=1e-4)
    assert fgm(rise=0.0).reach(0.01) == 1


@pytest.mark.parametrize(
    ("name", "knobs", "expected"),
    [
        ("fgm", {}, 2),
        ("freelb", {"steps": 3}, 3),
        # A forward pass, the gradients of what flows and those of the weights cost a third each;
        # steps of the perturbation alone have no use for the last. Two whole passes are beside.
        ("pgd", {"steps": 4}, 2 + 3 * 2 / 3),
        ("vat", {"steps": 3}, 2 + 3 * 2 / 3),
        ("rslad", {"steps": 3}, 2 + 3 * 2 / 3),
        ("random_char", {"weight": 0.5}, 2),
        ("random_char", {"weight": 1.0}, 1),
    ],
)
def test_a_defence_costs_its_passes(name, knobs, expected):
    assert HARDENINGS[name](**knobs).cost == pytest.approx(expected)


def test_what_makes_no_sense_is_refused_in_words():
    one = TaskShape(2)
    assert "finetune has no teacher" in HARDENINGS["ard"]().check(METHODS["finetune"](), one)[0]
    assert HARDENINGS["rslad"]().check(METHODS["kd"](), one) == []
    alone = HARDENINGS["random_table"](weight=1.0)
    assert "weight below 1 works" in alone.check(METHODS["pkd"](), one)[0]
    for method in ("finetune", "kd", "truncated_kd", "tinybert"):  # answers alone, at their end
        assert alone.check(METHODS[method](), one) == []
