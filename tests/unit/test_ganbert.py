"""GAN-BERT: its losses by numpy, who is moved by which, and what is left when it is over."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import tiny
from tests.hardened import World
from tune_distill import signals
from tune_distill.errors import SpecError
from tune_distill.families import FAMILIES
from tune_distill.hardening import HARDENINGS
from tune_distill.hardening.ganbert import GanBert, distance, fake, not_fake
from tune_distill.hardening.generator import Adversary
from tune_distill.methods import METHODS, ModelShape, TaskShape
from tune_distill.signals import Needs
from tune_distill.spec import TrainSpec, TrialConfig
from tune_distill.tasks.batches import batches
from tune_distill.train import train
from tune_distill.train.defence import modules_of, shown
from tune_distill.train.hardened import HardenedUpdate
from tune_distill.train.head import read
from tune_distill.train.optimise import optimizers_of

CONFIG = TrainSpec(learning_rate=3e-3, batch_size=8, epochs=2, precision="float32")
FEW = 10  # of the 40 rows keep their label: shown int(log2(40 // 10)) = 2 times


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("few"))
    made.data.labels[FEW:] = -100
    return made


class Watched(HardenedUpdate):
    """An update that remembers the gradients after each backward pass."""

    def __init__(self, *given):
        super().__init__(*given)
        self.grads = []

    def learn(self, loss, only=None):
        super().learn(loss, only)
        modules = {"student": self.student, "extra": self.extra}
        self.grads.append(
            {
                f"{owner}.{name}": None if tensor.grad is None else tensor.grad.clone()
                for owner, module in modules.items()
                for name, tensor in module.named_parameters()
            }
        )


def learned(world, method="finetune", model=None, **knobs):
    """One update without dropout: (what it saw, its terms)."""
    hardening = GanBert(dropout=0.0, **knobs)
    model = model or world.model(seed=1)
    update = world.update(model, method, kind=Watched, hardening=hardening)
    torch.manual_seed(0)
    return update, hardening.learn(update)


def softmax(logits):
    made = np.exp(logits - logits.max(axis=1, keepdims=True))
    return made / made.sum(axis=1, keepdims=True)


def by_hand(update):
    """The published losses in numpy, from the weights alone: (real, fake, fooling, matching)."""
    model, generator = update.student, update.extra.opponent
    torch.manual_seed(0)
    noise = torch.rand(len(update.batch.labels), generator.noise).numpy()
    first, last = (
        (m.weight.detach().numpy(), m.bias.detach().numpy())
        for m in (generator.layers[0], generator.layers[3])
    )
    hidden = noise @ first[0].T + first[1]
    made = np.where(hidden > 0, hidden, 0.2 * hidden) @ last[0].T + last[1]
    with torch.no_grad():
        states = model.bert(**update.batch.inputs()).last_hidden_state[:, 0].numpy()

    def judged(vectors):
        layers = model.bert.pooler.dense, model.classifier, update.extra.fake
        pooler, classes, fakes = (
            (m.weight.detach().numpy(), m.bias.detach().numpy()) for m in layers
        )
        features = np.tanh(vectors @ pooler[0].T + pooler[1])
        logits = [features @ weight.T + bias for weight, bias in (classes, fakes)]
        return features, softmax(np.concatenate(logits, axis=1))

    (f_real, p_real), (f_fake, p_fake) = judged(states), judged(made)
    return (
        -np.log(1 - p_real[:, -1]).mean(),
        -np.log(p_fake[:, -1]).mean(),
        -np.log(1 - p_fake[:, -1]).mean(),
        ((f_real.mean(axis=0) - f_fake.mean(axis=0)) ** 2).mean(),
    )


def test_the_terms_are_the_published_ones(world):
    update, terms = learned(world, weight=0.7)
    real, fakes, fooling, matching = by_hand(update)
    found = [terms[name].item() for name in ("real", "fake", "fooling", "matching")]
    assert found == pytest.approx([real, fakes, fooling, matching], rel=1e-4)
    expected = terms["hard"].item() + 0.7 * (real + fakes)
    assert terms["total"].item() == pytest.approx(expected, rel=1e-5)


def test_the_losses_of_logits_are_those_of_probabilities():
    logits = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    p = softmax(logits)[:, -1]
    assert not_fake(torch.tensor(logits)).item() == pytest.approx(-np.log(1 - p).mean(), rel=1e-5)
    assert fake(torch.tensor(logits)).item() == pytest.approx(-np.log(p).mean(), rel=1e-5)
    assert distance(torch.ones(3, 2), torch.tensor([[0.0, 1.0], [0.0, 3.0]])).item() == 1.0


def test_the_losses_are_finite_where_probabilities_are_0():
    """At 1e4, p_fake is 0 or 1 in any float: the losses are the difference of the logits."""
    sure = torch.tensor([[1e4, 0.0]])
    assert (not_fake(sure).item(), fake(sure).item()) == (0.0, 1e4)
    assert (not_fake(sure.flip(1)).item(), fake(sure.flip(1)).item()) == (1e4, 0.0)


def test_the_discriminators_loss_moves_no_generator_and_the_generators_nothing_else(world):
    update, _ = learned(world, method="kd")
    after_d, after_g = update.grads
    generator = [name for name in after_d if name.startswith("extra.opponent.")]
    others = [name for name in after_d if name not in generator]

    assert all(after_d[name] is None for name in generator)
    assert all(after_g[name].abs().max() > 0 for name in generator)
    assert len(generator) == 4  # two layers, each of a weight and a bias
    assert all(torch.equal(after_d[name], after_g[name]) for name in others)
    assert all(after_d[name].abs().max() > 0 for name in ("extra.fake.weight", "extra.fake.bias"))
    assert after_d["student.bert.embeddings.word_embeddings.weight"].abs().max() > 0


def test_the_published_order_of_backward_passes_would_have_leaked(world):
    """Both losses on one graph, both backward: what crux82/ganbert-pytorch hands its optimisers."""
    update, _ = learned(world)
    ours = update.grads[-1]
    model = world.model(seed=1)
    other = world.update(model, "finetune", kind=Watched, hardening=GanBert(dropout=0.0))
    torch.manual_seed(0)
    fakes = other.extra.fakes(len(other.batch.labels))
    own, entering = other.encoded()
    (f_real, real), (f_fake, made) = (
        (f, torch.cat([z, other.extra.fake(f)], dim=1))
        for f, z in (read(model, vectors, 0.0) for vectors in (entering, fakes))
    )
    d_loss = other.loss(own)["total"] + not_fake(real) + fake(made)
    g_loss = not_fake(made) + distance(f_real, f_fake)
    named = {f"extra.{name}": p for name, p in other.extra.named_parameters()}
    named |= {f"student.{name}": p for name, p in model.named_parameters()}
    players = {
        "generator": (d_loss, [name for name in named if name.startswith("extra.opponent.")]),
        "discriminator": (g_loss, [name for name in named if "opponent" not in name]),
    }
    foreign = {}
    for loss, names in players.values():  # what each player gets of the other's loss
        parameters = [named[name] for name in names]
        grads = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        foreign |= dict(zip(names, grads, strict=True))
    g_loss.backward(retain_graph=True)
    d_loss.backward()

    for name, parameter in named.items():
        if foreign[name] is not None:
            leaked = parameter.grad - ours[name]
            torch.testing.assert_close(leaked, foreign[name], rtol=1e-3, atol=1e-6, msg=name)
    for _, names in players.values():
        assert max(foreign[n].abs().max() for n in names if foreign[n] is not None) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_head_by_itself_answers_as_within_its_model(family):
    """So what is judged is what the saved model says; dropout is of training alone."""
    model, batch = tiny.teacher(family), tiny.rows(6).batch(np.arange(6))
    with torch.no_grad():
        whole = signals.run(model, batch.inputs(), Needs(logits=True, cls=(2,)))
        features, logits = read(model, whole.cls[2], dropout=0.5)
    torch.testing.assert_close(logits, whole.logits)
    assert features.shape == (6, 16)
    with torch.no_grad():
        assert not torch.allclose(read(model.train(), whole.cls[2], 0.5)[1], whole.logits)


def test_what_a_method_asks_for_is_what_it_gets(world):
    """PKD compares all CLS vectors that it is handed: the last one is not for it."""
    update = world.update(world.model(seed=1), "pkd", hardening=GanBert())
    own, entering = update.encoded()
    assert sorted(own.cls) == list(update.leg.asked.cls) == [1, 2]
    assert entering.shape == (6, 16)


def trained(world, hardening, method="finetune", data=None, config=CONFIG, **more):
    model = world.model(seed=1, dropout=0.1)
    given = {"teacher": world.taught, "hardening": hardening, **more}
    epochs = list(train(model, METHODS[method](), data or world.data, config, seed=4, **given))
    return model.state_dict(), epochs


@pytest.mark.usefixtures("whole_table")
@pytest.mark.parametrize("method", ["finetune", "kd"])
def test_without_weight_or_hidden_labels_it_is_plain_training_bit_for_bit(world, method):
    plain, _ = trained(world, None, method)
    without, epochs = trained(world, GanBert(weight=0.0), method)
    with_it, _ = trained(world, GanBert(), method)
    assert all(torch.equal(plain[name], without[name]) for name in plain)
    assert "fake" not in epochs[0].losses
    assert not all(torch.equal(plain[name], with_it[name]) for name in plain)


def test_a_run_on_few_labels_goes_on_as_if_it_had_not_been_stopped(few, tmp_path):
    """The generator, its optimiser and the logit of the fakes are in the checkpoint."""
    whole, epochs = trained(few, GanBert())
    model = few.model(seed=1, dropout=0.1)
    for _ in train(
        model,
        METHODS["finetune"](),
        few.data,
        CONFIG,
        seed=4,
        hardening=GanBert(),
        checkpoint=tmp_path,
    ):
        if (tmp_path / "training.ckpt").exists():  # of the first epoch; this is the second
            break
    again, rest = trained(few, GanBert(), checkpoint=tmp_path)
    assert rest == epochs[1:]
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_rows_without_a_label_are_learned_from(few):
    with_them, epochs = trained(few, GanBert())
    without, _ = trained(few, GanBert(), data=few.data.labelled())
    assert epochs[0].updates == 7  # 2 * 10 labelled rows and 30 others, by eights
    assert not all(torch.equal(with_them[name], without[name]) for name in without)


@pytest.mark.parametrize(
    ("labelled", "rows", "times"),
    # int(log2(int(1 / share))), at least 1: crux82/ganbert's 109 of 5,452 labels are shown 5 times.
    [(109, 5452, 5), (10, 40, 2), (10, 39, 1), (10, 10, 1), (9, 10, 1), (1, 1024, 10), (0, 9, 1)],
)
def test_labelled_rows_are_shown_as_often_as_published(labelled, rows, times):
    assert GanBert().repeats(labelled, rows) == times
    assert GanBert(balance=False).repeats(labelled, rows) == 1


def test_an_epoch_shows_each_labelled_row_twice_and_the_others_once(few):
    rows = shown(GanBert(), few.data)
    seen = np.concatenate(list(batches(few.data, 8, seed=4, epoch=0, rows=rows)))
    assert np.bincount(seen).tolist() == [2] * FEW + [1] * 30
    assert shown(HARDENINGS["fgm"](), few.data).tolist() == list(range(40))


def test_generator_and_discriminator_have_an_optimiser_each(world):
    shape = ModelShape(3, 16, 2)
    extra = modules_of(GanBert(generator_rate=0.5), shape, seed=0)
    modules = torch.nn.ModuleDict({"student": world.model(seed=1), "defence": extra})
    own, opponent = optimizers_of(modules, CONFIG)
    held = [{p for g in o.param_groups for p in g["params"]} for o in (own, opponent)]
    assert held[1] == set(extra.opponent.parameters())
    assert held[0] == set(modules.parameters()) - held[1]
    assert {g["ratio"] for g in opponent.param_groups} == {0.5}
    assert {g["ratio"] for g in own.param_groups} == {1.0}
    with_none = optimizers_of(torch.nn.ModuleDict({"student": world.model(seed=1)}), CONFIG)
    assert len(with_none) == 1


def test_the_generator_is_the_same_for_the_same_seed_and_moves_no_generator_of_numbers():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    one, same, other = (modules_of(GanBert(), ModelShape(1, 8, 2), seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [made.opponent.layers[0].weight for made in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert isinstance(one, Adversary)
    assert weights[0].shape == (8, 100)
    assert modules_of(HARDENINGS["fgm"](), ModelShape(1, 8, 2), 1) is None


@pytest.mark.parametrize("kind", ["multi_label", "regression"])
def test_a_task_without_classes_that_exclude_one_another_is_refused(kind):
    (reason,) = GanBert().check(METHODS["finetune"](), TaskShape(2, kind))
    assert "adds a class" in reason


def test_who_learns_from_rows_without_a_label_is_known():
    def config(**chosen):
        student = {"student.layers": 1, "student.hidden_size": 8, "student.heads": 2}
        return TrialConfig.from_params({**student, **chosen})

    assert config(method="kd").unlabelled
    assert config(method="finetune", robust="ganbert").unlabelled
    assert not config(method="finetune", robust="fgm").unlabelled
    assert not config(method="finetune").unlabelled
    # A hardened teacher leaves its student's training as it is.
    late = {"robust": "ganbert", "robust.ganbert.stage": "teacher"}
    assert not config(method="finetune", **late).unlabelled


def test_a_teachers_knobs_are_checked_where_they_are_named():
    from tests.unit.test_spec import GOOD
    from tune_distill.spec import resolve

    def study(**knobs):
        return resolve({**GOOD, "teacher": {"fit": {"base": "a", "ganbert": knobs}}})

    assert study().teacher.fit.adversary == GanBert()
    assert study(weight=0.5, noise=7).teacher.fit.adversary == GanBert(weight=0.5, noise=7)
    assert resolve({**GOOD, "teacher": {"fit": {"base": "a"}}}).teacher.fit.adversary is None
    for knobs, said in (
        ({"nois": 3}, r"teacher\.fit\.ganbert\.nois: .*did you mean noise\?"),
        ({"noise": 0}, r"teacher\.fit\.ganbert\.noise: 0 will not do: it should be greater than 0"),
        ({"weight": [0.5, 1.0]}, r"teacher\.fit\.ganbert: weight: give one value; nothing"),
    ):
        with pytest.raises(SpecError, match=said):
            study(**knobs)
