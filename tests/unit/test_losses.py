"""Each loss against numbers worked out by hand, or by numpy and scipy from its equation."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn

from tune_distill.methods import METHODS, ModelShape, features
from tune_distill.methods.gates import Gates, variance
from tune_distill.methods.heads import Projection, projection, widened
from tune_distill.methods.losses import hard, logit_mse, soft
from tune_distill.methods.truncated_kd import truncated
from tune_distill.signals import Signals


def drawn(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


MASK = torch.tensor([[True, True, True, False], [True, True, False, False]])


def test_the_soft_loss_of_two_classes_by_hand():
    # T = 2; teacher logits (2 ln 3, 0) -> p = softmax(ln 3, 0) = (3/4, 1/4);
    # student logits (0, 0) -> q = (1/2, 1/2)
    # KL(p || q) = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812; times T^2 = 4: 0.523248
    value = soft(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), 2.0)
    assert value.item() == pytest.approx(0.5232481, abs=1e-6)


def test_the_soft_loss_is_the_mean_over_the_batch_of_scipys_relative_entropy():
    student, teacher, temperature = drawn(6, 3), drawn(6, 3, seed=1), 3.0
    p = softmax(teacher.numpy() / temperature, axis=1)
    q = softmax(student.numpy() / temperature, axis=1)
    expected = temperature**2 * entropy(p, q, axis=1).mean()
    assert soft(student, teacher, temperature).item() == pytest.approx(expected, rel=1e-5)


def test_the_soft_loss_of_several_labels_is_the_sum_of_their_binary_ones():
    # One row; teacher logits (ln 3, 0) -> 3/4 and 1/2; student (0, 0) -> 1/2 each; T = 1.
    # KL of the first label as above 0.130812, of the second 0.
    labels = torch.zeros(1, 2)
    value = soft(torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), 1.0, labels)
    assert value.item() == pytest.approx(0.1308120, abs=1e-6)


def test_the_soft_loss_of_a_regression_is_the_squared_distance_to_the_teacher():
    # The KL of its one logit would be 0. ((1 - 0)^2 + (3 - 5)^2) / 2 = 2.5, whatever T is.
    student, teacher = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [5.0]])
    assert soft(student, teacher, 4.0, torch.zeros(2)).item() == 2.5
    assert soft(student, teacher, 4.0).item() == 0.0


def test_the_hard_loss_of_each_kind_of_task_leaves_rows_without_a_label_out():
    # ((1 - 0)^2 + (3 - 1)^2) / 2 = 2.5, the third row having no label
    numbers = torch.tensor([0.0, 1.0, math.nan])
    assert hard(torch.tensor([[1.0], [3.0], [9.0]]), numbers).item() == 2.5
    # -log softmax((0, 0))[1] = ln 2
    assert hard(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), torch.tensor([1, -100])).item() == (
        pytest.approx(math.log(2))
    )
    # sigmoid(0) = 1/2 for both labels: ln 2 each, their mean ln 2
    several = torch.tensor([[1.0, 0.0], [math.nan, math.nan]])
    assert hard(torch.tensor([[0.0, 0.0], [5.0, 5.0]]), several).item() == pytest.approx(
        math.log(2)
    )
    assert hard(torch.zeros(2, 2), torch.tensor([-100, -100])).item() == 0.0


def test_matching_logits_is_the_mean_square_over_rows_and_classes():
    # (1 + 4 + 0 + 9) / 4
    student = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
    assert logit_mse(student, torch.zeros(2, 2)).item() == 3.5


def test_the_soft_loss_tends_to_half_the_mean_square_of_the_centred_logits():
    student, teacher = drawn(5, 4), drawn(5, 4, seed=1)
    difference = student - teacher
    centred = difference - difference.mean(1, keepdim=True)
    expected = centred.square().mean() / 2
    assert soft(student, teacher, 100.0).item() == pytest.approx(expected.item(), rel=2e-2)


def test_kd_weighs_its_terms_as_pkd_does():
    method = METHODS["kd"](temperature=2.0, alpha=0.7)
    mask = torch.ones(6, 5, dtype=torch.bool)
    batch = SimpleNamespace(labels=torch.tensor([0, 1, 2, 0, 1, 2]))
    terms = method.loss(Signals(mask, drawn(6, 3)), Signals(mask, drawn(6, 3, seed=1)), batch, None)
    assert terms["total"].item() == pytest.approx(
        0.3 * terms["hard"].item() + 0.7 * terms["soft"].item(), rel=1e-6
    )


# p = (0.5, 0.3, 0.2) of the teacher, q = (0.25, 0.25, 0.5) of the student, K = 2: classes 0 and 1.
P, Q = (0.5, 0.3, 0.2), (0.25, 0.25, 0.5)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        # 0.5 ln 2 + 0.3 ln 1.2
        ("drop", 0.5 * math.log(2) + 0.3 * math.log(1.2)),
        # p / 0.8 = (0.625, 0.375)
        ("renormalise", 0.625 * math.log(0.625 / 0.25) + 0.375 * math.log(0.375 / 0.25)),
        # the third class is the bucket: the whole KL
        ("bucket", 0.5 * math.log(2) + 0.3 * math.log(1.2) + 0.2 * math.log(0.4)),
    ],
)
def test_truncated_softmax_by_hand(tail, expected):
    student, teacher = torch.tensor([Q]).log(), torch.tensor([P]).log()
    assert truncated(student, teacher, 1.0, 2, tail).item() == pytest.approx(expected, abs=1e-6)
    # T^2 = 4 at logits twice as large: the same probabilities
    doubled = truncated(2 * student, 2 * teacher, 2.0, 2, tail).item()
    assert doubled == pytest.approx(4 * expected, abs=1e-5)


def test_a_dropped_tail_gives_barrazas_gradient():
    """His loss is the cross-entropy - sum of p_k log q_k, which differs by a constant."""
    student = drawn(4, 6).requires_grad_()
    teacher = drawn(4, 6, seed=1)
    (ours,) = torch.autograd.grad(truncated(student, teacher, 1.0, 3, "drop"), student)
    p, kept = teacher.softmax(-1).topk(3)
    theirs = -(p * student.log_softmax(-1).gather(-1, kept)).sum(-1).mean()
    torch.testing.assert_close(ours, torch.autograd.grad(theirs, student)[0])


def test_features_are_means_over_real_tokens_and_the_width():
    student, teacher = drawn(2, 4, 3), drawn(2, 4, 3, seed=1)
    real = MASK.numpy()
    squares = ((student - teacher).numpy() ** 2)[real]  # (5 tokens, 3)
    assert features.mse(student, teacher, MASK).item() == pytest.approx(squares.mean(), rel=1e-5)
    a, b = student.numpy()[real], teacher.numpy()[real]
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert features.cosine(student, teacher, MASK).item() == pytest.approx(
        (1 - cosines).mean(), rel=1e-5
    )


def per_head(states, heads):
    """(batch, heads, length, dims) by slicing: head h is columns h * dims and on."""
    dims = states.shape[-1] // heads
    return np.stack([states[..., h * dims : (h + 1) * dims] for h in range(heads)], axis=1)


def test_scores_are_scaled_products_head_by_head():
    query, key = drawn(2, 4, 6).numpy(), drawn(2, 4, 6, seed=1).numpy()
    found = features.scores(torch.from_numpy(query), torch.from_numpy(key), 3).numpy()
    for row in range(2):
        for head in range(3):
            q, k = per_head(query, 3)[row, head], per_head(key, 3)[row, head]
            np.testing.assert_allclose(found[row, head], q @ k.T / math.sqrt(2), rtol=1e-5)


def test_score_errors_are_means_over_heads_and_pairs_of_real_tokens():
    student, teacher = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4, seed=1)
    errors = []
    for row, length in ((0, 3), (1, 2)):
        errors.append((student - teacher)[row, :, :length, :length].square().numpy().reshape(-1))
    expected = np.concatenate(errors).mean()  # 3 heads * (9 + 4) pairs
    assert features.score_mse(student, teacher, MASK).item() == pytest.approx(expected, rel=1e-5)


def test_relations_are_scipys_relative_entropies_of_the_real_rows():
    student, teacher = drawn(2, 3, 4, 4), drawn(2, 3, 4, 4, seed=1)
    kls = []
    for row, length in ((0, 3), (1, 2)):
        p = softmax(teacher[row, :, :length, :length].numpy(), axis=-1)
        q = softmax(student[row, :, :length, :length].numpy(), axis=-1)
        kls.append(entropy(p, q, axis=-1).reshape(-1))  # teacher first: KL(T || S)
    expected = np.concatenate(kls).mean()
    found = features.relation_kl(student, teacher, MASK).item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_row_of_padding_alone_has_no_relation_and_no_nan():
    student = drawn(2, 3, 4, 4).requires_grad_()
    teacher = drawn(2, 3, 4, 4, seed=1)
    where = MASK.clone()
    where[1] = False
    loss = features.relation_kl(student, teacher, where)
    loss.backward()
    assert loss.item() == pytest.approx(
        features.relation_kl(student[:1], teacher[:1], where[:1]).item(), rel=1e-5
    )
    assert torch.isfinite(student.grad).all()
    assert student.grad[1].abs().max() == 0.0


def test_pkd_compares_states_of_length_one_without_the_last_layer():
    teacher, student = ModelShape(6, 4, 2), ModelShape(3, 4, 2)
    given, asked = METHODS["pkd"]().needs(teacher, student)
    assert (given.cls, asked.cls) == ((2, 4), (1, 2))  # of 2, 4, 6: PKD-Skip
    given, _ = METHODS["pkd"](layer_map="last").needs(ModelShape(12, 4, 2), ModelShape(6, 4, 2))
    assert given.cls == (7, 8, 9, 10, 11)  # PKD-Last: the last five of the first eleven

    own = {k: drawn(2, 4, seed=k) for k in (1, 2)}
    theirs = {t: drawn(2, 4, seed=t) for t in (2, 4)}
    found = inside("pkd", Signals(MASK, cls=own), Signals(MASK, cls=theirs))["patience"]
    stacked = [
        (
            s / np.linalg.norm(s, axis=1, keepdims=True)
            - t / np.linalg.norm(t, axis=1, keepdims=True)
        )
        ** 2
        for s, t in ((own[1].numpy(), theirs[2].numpy()), (own[2].numpy(), theirs[4].numpy()))
    ]
    assert found[1].item() == pytest.approx(np.mean(stacked), rel=1e-5)
    assert found[0] == 100.0


def inside(name, student, teacher, heads=None, **knobs):
    return METHODS[name](**knobs).inside(student, teacher, heads)


def test_minilm_is_the_last_blocks_attention_and_values():
    own, theirs = ({k: drawn(2, 4, 6, seed=s + k) for k in range(3)} for s in (0, 10))
    student = Signals(MASK, query={1: own[0]}, key={1: own[1]}, value={1: own[2]}, heads=3)
    teacher = Signals(MASK, query={4: theirs[0]}, key={4: theirs[1]}, value={4: theirs[2]})
    found = inside("minilm", student, teacher)

    def relations(left, right):
        return features.scores(left, right, 3)

    expected = features.relation_kl(
        relations(own[0], own[1]), relations(theirs[0], theirs[1]), MASK
    )
    assert found["attention"][1].item() == pytest.approx(expected.item())
    expected = features.relation_kl(
        relations(own[2], own[2]), relations(theirs[2], theirs[2]), MASK
    )
    assert found["values"][1].item() == pytest.approx(expected.item())


def test_minilm2_cuts_both_models_into_as_many_relation_heads():
    """A student of 8 with a teacher of 12, in 4 relation heads of 2 and 3 dims."""
    own, theirs = drawn(2, 4, 8), drawn(2, 4, 12, seed=1)
    student = Signals(MASK, query={1: own}, key={1: own}, value={1: own}, heads=2)
    teacher = Signals(MASK, query={4: theirs}, key={4: theirs}, value={4: theirs})
    found = inside("minilm2", student, teacher, relation_heads=4)
    kls = []
    for row, length in ((0, 3), (1, 2)):
        for head in range(4):
            s = per_head(own.numpy(), 4)[row, head, :length]
            t = per_head(theirs.numpy(), 4)[row, head, :length]
            p, q = (softmax(x @ x.T / math.sqrt(x.shape[1]), axis=-1) for x in (t, s))
            kls.append(entropy(p, q, axis=-1))
    assert found["queries"][1].item() == pytest.approx(np.concatenate(kls).mean(), rel=1e-4)


def test_lads_recurrence_and_targets_by_numpy():
    gates = Gates(layers=4, width=3, learning_rate_ratio=0.01)
    with torch.no_grad():
        for number, norm in enumerate(gates.norms):
            norm.weight.copy_(drawn(3, seed=20 + number))
            norm.bias.copy_(drawn(3, seed=30 + number))
            gates.gates[number].bias.copy_(drawn(3, seed=40 + number))
    states = {i: drawn(2, 4, 3, seed=i) for i in (1, 2, 3, 4)}
    targets = [states[1].numpy()]
    for i in (2, 3, 4):
        gate, norm = gates.gates[i - 2], gates.norms[i - 2]
        weight, bias = gate.weight.detach().numpy(), gate.bias.detach().numpy()
        before = targets[-1]
        share = 1 / (1 + np.exp(-(before @ weight.T + bias)))
        mixed = share * states[i].numpy() + (1 - share) * before
        centred = mixed - mixed.mean(-1, keepdims=True)
        normed = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        targets.append(normed * norm.weight.detach().numpy() + norm.bias.detach().numpy())
    own = {k: drawn(2, 4, 3, seed=50 + k) for k in (1, 2)}
    heads = nn.ModuleDict({"gates": gates})
    found = inside("lad", Signals(MASK, hidden=own), Signals(MASK, hidden=states), heads)
    # Two layers of four: t = 2, 4.
    errors = [
        ((own[k].numpy() - targets[t - 1]) ** 2)[MASK.numpy()].mean() for k, t in ((1, 2), (2, 4))
    ]
    assert found["hidden"][1].item() == pytest.approx(np.mean(errors), rel=1e-4)
    spread = targets[3][MASK.numpy()].var(0).mean() / states[4].numpy()[MASK.numpy()].var(0).mean()
    assert found["target_variance"][1].item() == pytest.approx(spread, rel=1e-4)


def test_gates_whose_targets_have_become_alike_break_the_trial():
    states = drawn(2, 4, 3)
    constant = torch.ones(2, 4, 3)
    assert variance(constant, states, MASK).item() == pytest.approx(0.0)
    assert "collapsed" in METHODS["lad"]().broken({"target_variance": 0.009})
    assert METHODS["lad"]().broken({"target_variance": 0.011}) == ""


def test_tinyberts_two_phases_by_their_equations():
    first, then = METHODS["tinybert"]().phases()
    own = {k: drawn(2, 4, 6, seed=k) for k in range(3)}
    theirs = {t: drawn(2, 4, 6, seed=10 + t) for t in (0, 2, 4)}
    student = Signals(MASK, hidden=own, query={1: own[1], 2: own[2]}, key={1: own[2], 2: own[1]})
    student = dataclasses.replace(student, heads=3)
    teacher = Signals(
        MASK, hidden=theirs, query={2: theirs[2], 4: theirs[4]}, key={2: theirs[4], 4: theirs[2]}
    )
    terms = first.method.loss(student, teacher, SimpleNamespace(labels=torch.zeros(2)), None)
    mse = features.mse
    assert terms["embedding"].item() == pytest.approx(mse(own[0], theirs[0], MASK).item())
    expected = mse(own[1], theirs[2], MASK) + mse(own[2], theirs[4], MASK)
    assert terms["hidden"].item() == pytest.approx(expected.item())
    pairs = ((own[1], own[2], theirs[2], theirs[4]), (own[2], own[1], theirs[4], theirs[2]))
    expected = sum(
        features.score_mse(features.scores(a, b, 3), features.scores(c, d, 3), MASK)
        for a, b, c, d in pairs
    )
    assert terms["attention"].item() == pytest.approx(expected.item())
    assert terms["total"].item() == pytest.approx(
        sum(terms[name].item() for name in ("embedding", "hidden", "attention")), rel=1e-5
    )
    assert (first.decay, first.warmup, then.decay) == (False, 0.0, True)
    # KL differs from the published soft cross-entropy by the teacher's entropy: a constant.
    assert (then.method.name, then.method.alpha, then.method.temperature) == ("kd", 1.0, 1.0)


def test_a_projection_starts_as_what_undoes_the_narrowing_and_is_none_for_equal_widths():
    teacher, student = ModelShape(2, 6, 2), ModelShape(2, 4, 2)
    assert len(projection(teacher, teacher)) == 0
    heads = projection(teacher, student)
    basis = torch.linalg.qr(drawn(6, 4, seed=3)).Q  # P, of orthonormal columns
    assert isinstance(heads["projection"], Projection)
    heads["projection"].start(basis)
    states = drawn(5, 6) @ basis @ basis.T  # a teacher's states that lose nothing
    torch.testing.assert_close(widened(states @ basis, heads), states)
