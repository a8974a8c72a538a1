"""Students of one family started from teachers of another."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import tiny
from tune_distill import families, signals, student
from tune_distill.initialise import initialise
from tune_distill.initialise.embeddings import multiplied_out
from tune_distill.initialise.names import EMBEDDINGS, FACTOR, POSITIONS, TYPES, WORDS, own, read
from tune_distill.initialise.width import entering, normed, principal
from tune_distill.signals import Needs
from tune_distill.spec import StudentSpec

LAYERS, WIDTH = 3, 16
NAMES = ("a", "b", "c")
SOURCES = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "albert", "electra")
EVERY = Needs(logits=True, hidden=tuple(range(LAYERS + 1)))


def teacher(family, **knobs):
    return tiny.teacher(family, LAYERS, WIDTH, heads=4, classes=3, **knobs)


def spec(**knobs):
    shape = {"layers": LAYERS, "hidden_size": WIDTH, "heads": 4, "intermediate_size": 32}
    return StudentSpec(**(shape | knobs))


def made(source, wanted, names=NAMES):
    model = student.build(student.config(wanted, source.config, names), seed=3)
    return model, initialise(model, source, wanted)


def whole(family, source):
    """A student of its teacher's shape, as far as its family has that shape."""
    if family != "albert":
        return spec(family=family)
    narrow = getattr(source.config, "embedding_size", WIDTH)
    groups = getattr(source.config, "num_hidden_groups", LAYERS)
    return spec(family=family, embedding_size=narrow, groups=groups)


def batch():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    ids = torch.randint(3, 40, (2, 5), generator=torch.Generator().manual_seed(1)) * mask
    return {"input_ids": ids, "attention_mask": mask}


def outputs(model):
    with torch.no_grad():
        return signals.run(model, batch(), EVERY)


@pytest.mark.parametrize("width", ["slice", "project"])
@pytest.mark.parametrize(
    ("family", "source"),
    [
        ("bert", "bert"),
        ("distilbert", "distilbert"),
        ("albert", "albert"),
        *(("roberta", name) for name in ("roberta", "xlm-roberta", "camembert")),
    ],
)
def test_a_student_of_its_teachers_family_and_shape_is_its_copy(family, source, width):
    taught = teacher(source)
    model, report = made(taught, whole(family, taught).model_copy(update={"init_width": width}))
    assert torch.equal(outputs(model).scores(), outputs(taught).scores())
    theirs = taught.state_dict()
    assert {row.name: row.source for row in report.rows} == {name: name for name in theirs}
    assert report.tensors == {"copied": len(theirs)}
    assert all(torch.equal(t, theirs[n]) for n, t in model.state_dict().items())


def test_an_albert_of_several_groups_is_copied_group_by_group():
    taught = tiny.teacher("albert", 5, WIDTH, heads=4, classes=3, num_hidden_groups=2)
    model, report = made(taught, spec(family="albert", layers=5, groups=2, embedding_size=8))
    assert report.tensors == {"copied": len(taught.state_dict())}
    with torch.no_grad():
        assert torch.equal(model(**batch()).logits, taught(**batch()).logits)


@pytest.mark.parametrize("family", student.FAMILIES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_student_of_its_teachers_shape_computes_what_it_does(family, source):
    # Exactly, but for two cases: embeddings narrower than the blocks need ALBERT's factor; and
    # heads of another activation (relu in DistilBERT, gelu in ELECTRA) start from the same weights.
    taught = teacher(source)
    model, _ = made(taught, whole(family, taught))
    found, expected = outputs(model), outputs(taught)
    factored = source in ("albert", "electra")
    if not factored or family == "albert":
        for layer, state in expected.hidden.items():
            real = found.mask
            torch.testing.assert_close(found.hidden[layer][real], state[real])
        same = families.FAMILIES[family].activation == families.FAMILIES[source].activation
        close = torch.allclose(found.scores(), expected.scores(), atol=1e-5)
        assert close is same
    else:
        likeness = torch.corrcoef(
            torch.stack([s.hidden[0][s.mask].flatten() for s in (found, expected)])
        )
        assert likeness[0, 1] > 0.95


def test_an_electra_of_wide_embeddings_needs_no_factor():
    taught = teacher("electra", embedding_size=WIDTH)
    model, report = made(taught, spec())
    assert set(report.tensors) == {"copied"}
    torch.testing.assert_close(outputs(model).hidden[LAYERS], outputs(taught).hidden[LAYERS])


@pytest.mark.parametrize("width", ["slice", "project"])
@pytest.mark.parametrize("family", student.FAMILIES)
@pytest.mark.parametrize("source", SOURCES)
def test_no_tensor_of_a_smaller_student_stays_random(family, source, width):
    taught = teacher(source)
    smaller = spec(
        family=family,
        layers=2,
        hidden_size=12,
        heads=3,
        intermediate_size=20,
        init_width=width,
        **({"embedding_size": 6, "groups": 1} if family == "albert" else {}),
    )
    model, report = made(taught, smaller)
    assert [row.name for row in report.rows] == list(model.state_dict())
    new = [row.name for row in report.rows if row.how == "new"]
    types = [name for name in model.state_dict() if name.endswith("token_type_embeddings.weight")]
    assert new == (types if source == "distilbert" and family != "distilbert" else [])
    assert all(not model.state_dict()[name].any() for name in new)  # zero: no change
    of_teacher = {s for row in report.rows if row.source for s in row.source.split(" + ")}
    assert of_teacher <= set(taught.state_dict())
    with torch.no_grad():
        assert torch.isfinite(model(**batch()).logits).all()
    built = student.build(model.config, seed=3).state_dict()
    same = [n for n, t in model.state_dict().items() if torch.equal(t, built[n])]
    zero = [n for n in same if not built[n].any()]  # what compressed heads make zero, and types
    assert same == zero


def test_a_student_without_token_types_reads_single_texts_as_its_teacher_does():
    taught = teacher("bert")
    for family in ("distilbert", "roberta"):
        model, _ = made(taught, spec(family=family))
        zeros, ones = (torch.full((2, 5), kind) for kind in (0, 1))
        with torch.no_grad():
            first = taught(**batch(), token_type_ids=zeros, output_hidden_states=True)
            second = taught(**batch(), token_type_ids=ones, output_hidden_states=True)
        state = outputs(model).hidden[LAYERS][outputs(model).mask]
        real = outputs(model).mask
        torch.testing.assert_close(state, first.hidden_states[-1][real])
        assert (state - second.hidden_states[-1][real]).abs().max() > 1e-3


@pytest.mark.parametrize(("groups", "shares"), [(1, [(1, 2, 3)]), (2, [(1, 2), (3,)])])
def test_shared_blocks_start_from_the_mean_of_what_each_would_have_been(groups, shares):
    # 3 layers in 2 groups: Transformers runs group int(i / 1.5), so blocks 1-2 and 3.
    taught = teacher("bert")
    model, report = made(taught, spec(family="albert", embedding_size=WIDTH, groups=groups))
    theirs, ours = taught.state_dict(), model.state_dict()
    rows = {row.name: row for row in report.rows}
    for group, layers in enumerate(shares):
        name = f"albert.encoder.albert_layer_groups.{group}.albert_layers.0.ffn.weight"
        sources = [f"bert.encoder.layer.{layer - 1}.intermediate.dense.weight" for layer in layers]
        mean = np.mean([theirs[source].double().numpy() for source in sources], axis=0)
        np.testing.assert_allclose(ours[name].numpy(), mean, rtol=1e-6, atol=1e-7)
        assert rows[name].source == " + ".join(sources)
        assert rows[name].how == ("merged" if len(layers) > 1 else "copied")


def test_a_bert_unrolls_what_an_albert_shares():
    taught = teacher("albert", num_hidden_groups=2)
    model, _ = made(taught, spec())
    theirs, ours = taught.state_dict(), model.state_dict()
    for layer, group in ((1, 0), (2, 0), (3, 1)):
        name = f"albert.encoder.albert_layer_groups.{group}.albert_layers.0.attention.query.weight"
        mine = f"bert.encoder.layer.{layer - 1}.attention.self.query.weight"
        assert torch.equal(ours[mine], theirs[name])


# ALBERT's factor


def test_a_factor_is_the_least_squares_solution_over_the_vocabulary():
    taught = teacher("bert")
    model, _ = made(taught, spec(family="albert", embedding_size=6))
    ours = read(model)
    given = normed(ours, 1e-12, everywhere=True).double().numpy()
    wanted = entering(read(taught), 1e-12, everywhere=True).double().numpy()
    ones = np.ones((len(given), 1))
    # A LayerNorm leaves 5 of 6 dimensions, and rounding in the sixth, which is not to be fitted.
    best, *_ = np.linalg.lstsq(np.hstack([given, ones]), wanted, rcond=1e-5)
    error = np.square(np.hstack([given, ones]) @ best - wanted).sum()
    factor, bias = (ours[f"{FACTOR}.{kind}"].double().numpy() for kind in ("weight", "bias"))
    assert np.square(given @ factor.T + bias - wanted).sum() == pytest.approx(error, rel=1e-5)


def test_more_dimensions_of_the_embeddings_hold_more_of_the_words():
    taught = teacher("bert")
    errors = []
    for size in (2, 4, 8, 12, 16):
        model, _ = made(taught, spec(family="albert", embedding_size=size))
        found, expected = outputs(model).hidden[0], outputs(taught).hidden[0]
        errors.append(float((found - expected)[outputs(model).mask].square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-10  # as wide as the teacher: nothing is lost


def test_the_tables_of_narrow_embeddings_lie_along_the_principal_directions():
    taught = teacher("bert")
    model, report = made(taught, spec(family="albert", embedding_size=6))
    weights = read(taught)
    vectors = entering(weights, 1e-12, everywhere=True)
    _, _, directions = np.linalg.svd((vectors - vectors.mean(0)).double().numpy())
    expected = np.abs(weights[WORDS].double().numpy() @ directions[:6].T)
    np.testing.assert_allclose(np.abs(read(model)[WORDS].numpy()), expected, rtol=1e-3, atol=1e-4)
    how = {row.name: row.how for row in report.rows}
    assert how["albert.embeddings.word_embeddings.weight"] == "projected"
    assert how["albert.encoder.embedding_hidden_mapping_in.weight"] == "projected"


def test_everywhere_is_each_word_at_a_position_in_turn():
    model = teacher("bert")
    weights = read(model)
    ids = torch.arange(40)[:, None]
    positions = ids % 32  # the table has 32 rows, the vocabulary 40
    with torch.no_grad():
        expected = model.bert.embeddings(input_ids=ids, position_ids=positions)[:, 0]
    torch.testing.assert_close(normed(weights, 1e-12, everywhere=True), expected)


def test_a_narrower_albert_keeps_a_part_of_its_teachers_factor():
    taught = teacher("albert")
    model, _ = made(taught, spec(family="albert", embedding_size=8, hidden_size=8, heads=2))
    basis = principal(entering(read(taught)), 8).basis
    theirs = read(taught)
    expected = (basis.T @ theirs[f"{FACTOR}.weight"].double()).float()
    torch.testing.assert_close(read(model)[f"{FACTOR}.weight"], expected)
    assert torch.equal(read(model)[WORDS], theirs[WORDS])


def test_multiplied_out_embeddings_fit_best_with_their_gains_and_bias():
    taught = teacher("albert")
    weights = read(taught)
    wide = multiplied_out(weights, 1e-12)
    assert wide[WORDS].shape == (40, WIDTH)
    assert not any(name.startswith(FACTOR) for name in wide)
    wanted = entering(weights, 1e-12, everywhere=True).double().numpy()
    gains = wide[f"{EMBEDDINGS}LayerNorm.weight"].double().numpy()
    bias = wide[f"{EMBEDDINGS}LayerNorm.bias"].double().numpy()
    plain = (normed(wide, 1e-12, everywhere=True).double().numpy() - bias) / gains
    for at in range(WIDTH):  # a straight line through each coordinate, by numpy
        slope, level = np.polyfit(plain[:, at], wanted[:, at], 1)
        assert (slope, level) == pytest.approx((gains[at], bias[at]), rel=1e-3, abs=1e-4)
    # The tables are the factor times the gains of the tables, less what a LayerNorm takes away.
    linear = weights[f"{FACTOR}.weight"] * weights[f"{EMBEDDINGS}LayerNorm.weight"]
    centred = weights[TYPES] - weights[TYPES].mean(1, keepdim=True)
    scale = (wide[TYPES] / (centred @ linear.T)).flatten()
    torch.testing.assert_close(scale, scale[:1].expand_as(scale), rtol=1e-3, atol=0)


# What is read of a teacher


@pytest.mark.parametrize("family", SOURCES)
def test_every_tensor_of_a_teacher_has_a_name(family):
    taught = teacher(family)
    assert set(taught.state_dict()) <= set(own(taught.config).values())


def test_the_positions_of_a_roberta_begin_with_the_first_tokens():
    taught = teacher("roberta", pad_token_id=5, max_position_embeddings=20)
    table = taught.state_dict()["roberta.embeddings.position_embeddings.weight"]
    assert torch.equal(read(taught)[POSITIONS], table[6:])
    model, _ = made(taught, spec())
    assert torch.equal(model.state_dict()["bert.embeddings.position_embeddings.weight"], table[6:])
    again, _ = made(model, spec(family="roberta"))  # back: the rows of padding are zero
    rows = again.state_dict()["roberta.embeddings.position_embeddings.weight"]
    assert torch.equal(rows[6:], table[6:])
    assert not rows[:6].any()


def test_a_teacher_in_half_precision_gives_float32():
    for source, family in (("albert", "bert"), ("bert", "albert"), ("roberta", "distilbert")):
        half = teacher(source).half()
        model, _ = made(half, spec(family=family, hidden_size=8, heads=2))
        assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
        assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


def test_explicit_layers_are_those_blocks():
    taught = teacher("distilbert")
    _, report = made(taught, spec(family="distilbert", layers=2, init="1,3"))
    sources = {row.source for row in report.rows if ".layer.1." in row.name}
    assert {source.partition(".layer.")[2][0] for source in sources} == {"2"}
    assert report.rows[3].source == "distilbert.embeddings.LayerNorm.bias"
