"""What a student takes from its teacher, tensor by tensor."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers.models.bert.modeling_bert import BertForSequenceClassification

from tests.tiny import bert
from tests.tiny import teacher as tiny_teacher
from tune_distill import student
from tune_distill.errors import TeacherError
from tune_distill.initialise import initialise
from tune_distill.initialise.width import kept, projected, sliced
from tune_distill.layers import mapping
from tune_distill.spec import StudentSpec

WORDS = "bert.embeddings.word_embeddings.weight"
INPUTS = {
    "input_ids": torch.tensor([[1, 9, 20, 2], [1, 30, 2, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


@pytest.fixture(scope="module")
def teacher():
    """4 blocks, 16 wide, 4 heads of 4, 32 units; no weight at its default of 0 or 1."""
    model = bert(layers=4, hidden_size=16, heads=4, classes=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    return model


def spec(**knobs):
    return StudentSpec(
        **{"layers": 2, "hidden_size": 16, "heads": 4, "intermediate_size": 32, **knobs}
    )


def made(teacher, wanted, names=("a", "b", "c")):
    model = student.build(student.config(wanted, teacher.config, names), seed=3)
    return model, initialise(model, teacher, wanted)


def equal(one, other):
    return torch.equal(one.float(), other.float())


@pytest.mark.parametrize("init", ["uniform", "first", "last"])
@pytest.mark.parametrize("width", ["slice", "project"])
def test_a_student_of_its_teachers_shape_gives_its_logits_bit_for_bit(teacher, init, width):
    model, report = made(teacher, spec(layers=4, init=init, init_width=width))
    with torch.no_grad():
        assert torch.equal(model(**INPUTS).logits, teacher(**INPUTS).logits)
    assert report.tensors == {"copied": len(teacher.state_dict())}


@pytest.mark.parametrize(
    ("init", "expected"), [("uniform", (2, 4)), ("first", (1, 2)), ("last", (3, 4))]
)
def test_a_shallower_student_holds_whole_blocks_of_its_teacher(teacher, init, expected):
    model, report = made(teacher, spec(init=init))
    theirs, ours = teacher.state_dict(), model.state_dict()
    for row in report.rows:
        name = row.name
        for target, layer in enumerate(expected):
            name = name.replace(f"layer.{target}.", f"layer_{layer - 1}.")
        source = name.replace("layer_", "layer.")
        assert (row.how, row.source) == ("copied", source)
        assert equal(ours[row.name], theirs[source])


@pytest.mark.parametrize(
    ("student_layers", "teacher_layers", "expected"),
    [
        (6, 12, (2, 4, 6, 8, 10, 12)),
        (5, 12, (2, 5, 7, 10, 12)),  # 2.4, 4.8, 7.2, 9.6, 12
        (4, 6, (2, 3, 5, 6)),  # 1.5 and 4.5 go up
        (1, 6, (6,)),
        (6, 6, (1, 2, 3, 4, 5, 6)),
    ],
)
def test_uniform_layers_are_rounded_and_end_on_the_last(student_layers, teacher_layers, expected):
    assert mapping("uniform", student_layers, teacher_layers) == expected


def test_a_random_student_stays_as_it_was_built(teacher):
    wanted = spec(init="random", hidden_size=8)
    before = student.build(student.config(wanted, teacher.config, ("a", "b", "c")), seed=3)
    model, report = made(teacher, wanted)
    assert set(report.tensors) == {"new"}
    assert [row.name for row in report.rows] == list(model.state_dict())
    assert all(equal(t, before.state_dict()[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("width", ["slice", "project"])
def test_no_tensor_of_a_narrower_student_stays_random(teacher, width):
    wanted = spec(hidden_size=12, heads=3, intermediate_size=20, init_width=width)
    model, report = made(teacher, wanted)
    assert [row.name for row in report.rows] == list(model.state_dict())
    assert "new" not in report.tensors
    assert {row.source for row in report.rows} <= set(teacher.state_dict())
    built = student.build(model.config, seed=3).state_dict()
    same = [n for n, t in model.state_dict().items() if equal(t, built[n])]
    # what doesn't matter once heads are compressed is zero, as it is in a new model
    zero = [n for n in same if n.endswith(("key.bias", "value.bias"))]
    assert same == (zero if width == "project" else [])


def test_a_classifier_of_other_classes_is_new_and_said_to_be(teacher):
    model, report = made(teacher, spec(hidden_size=8, heads=2), names=("yes", "no"))
    new = [row.name for row in report.rows if row.how == "new"]
    assert new == ["classifier.weight", "classifier.bias"]
    built = student.build(model.config, seed=3).state_dict()
    assert all(equal(model.state_dict()[name], built[name]) for name in new)


def test_the_report_counts_tensors_and_parameters(teacher):
    model, report = made(teacher, spec(hidden_size=8, heads=2), names=("yes", "no"))
    assert sum(report.tensors.values()) == len(model.state_dict())
    assert sum(report.parameters.values()) == model.num_parameters()
    assert report.parameters["new"] == 2 * 8 + 2
    assert "2 new (18 parameters)" in str(report)
    assert report.to_rows()[0] == {
        "name": WORDS,
        "shape": "40 x 8",
        "how": "projected",
        "source": WORDS,
    }


def test_one_set_of_coordinates_is_sliced_everywhere(teacher):
    model, _ = made(teacher, spec(layers=4, hidden_size=8, heads=2, init_width="slice"))
    theirs, ours = teacher.state_dict(), model.state_dict()
    matches = (ours[WORDS].T[:, None] == theirs[WORDS].T[None]).all(-1)  # (8, 16)
    kept_places = matches.nonzero()[:, 1]
    assert len(kept_places) == 8
    for name in ("position_embeddings.weight", "token_type_embeddings.weight"):
        full = f"bert.embeddings.{name}"
        assert equal(ours[full], theirs[full][:, kept_places])
    block = "bert.encoder.layer.2."
    for name in ("attention.output.LayerNorm.weight", "output.LayerNorm.bias", "output.dense.bias"):
        assert equal(ours[block + name], theirs[block + name][kept_places])
    for row in ours[block + "intermediate.dense.weight"]:
        assert (theirs[block + "intermediate.dense.weight"][:, kept_places] == row).all(
            1
        ).sum() == 1
    for row in ours["bert.pooler.dense.weight"]:
        assert (theirs["bert.pooler.dense.weight"][:, kept_places] == row).all(1).sum() == 1


def test_the_units_of_a_smaller_inner_layer_are_the_strongest(teacher):
    model, report = made(teacher, spec(layers=4, intermediate_size=10))
    theirs, ours = teacher.state_dict(), model.state_dict()
    first, second = (
        f"bert.encoder.layer.1.{part}.dense.weight" for part in ("intermediate", "output")
    )
    strength = theirs[first].norm(dim=1) * theirs[second].norm(dim=0)
    best = sorted(range(32), key=lambda unit: -strength[unit])[:10]
    assert equal(ours[first], theirs[first][sorted(best)])
    assert equal(ours[second], theirs[second][:, sorted(best)])
    # three tensors a block; the output's bias, the norms and the rest are whole
    assert report.tensors == {"sliced": 12, "copied": len(theirs) - 12}


def test_projected_words_are_the_teachers_seen_along_orthonormal_directions(teacher):
    model, _ = made(teacher, spec(hidden_size=8, heads=2))
    basis = projected(teacher.state_dict(), 8).basis
    torch.testing.assert_close(basis.T @ basis, torch.eye(8, dtype=torch.float64))
    expected = (teacher.state_dict()[WORDS].double() @ basis).float()
    assert equal(model.state_dict()[WORDS], expected)


def test_projected_directions_hold_more_of_the_words_than_any_others(teacher):
    ids = torch.arange(40)
    layer = teacher.bert.embeddings
    with torch.no_grad():
        position = layer.position_embeddings.weight.mean(0)
        segment = layer.token_type_embeddings.weight[0]
        entering = layer.LayerNorm(layer.word_embeddings(ids) + position + segment).double()
    centred = entering - entering.mean(0)
    # by the singular values themselves: what the best 8 directions can hold
    best = torch.linalg.svdvals(centred)[:8].square().sum()
    held = {
        make: (centred @ make(teacher.state_dict(), 8).basis).square().sum()
        for make in (projected, sliced)
    }
    torch.testing.assert_close(held[projected], best, rtol=1e-5, atol=0)
    assert held[sliced] < best


def test_a_constant_part_of_the_stream_isnt_lost(teacher):
    stream = projected(teacher.state_dict(), 8)
    generator = torch.Generator().manual_seed(0)
    weight, bias, y = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((5, 16), (5,), (8,))
    )
    constant = teacher.state_dict()["bert.embeddings.LayerNorm.bias"].double()
    lost = constant - stream.basis @ (stream.basis.T @ constant)
    expected = weight @ (stream.basis @ y + lost) + bias
    found = stream.read(weight) @ y + stream.read_bias(weight, bias, constant)
    torch.testing.assert_close(found, expected)


READERS = [  # and the LayerNorm whose output each reads in the teacher; blocks 2 and 4 are taken
    ("0.attention.self.query", "encoder.layer.1.attention.self.query", "encoder.layer.0.output"),
    ("1.attention.self.value", "encoder.layer.3.attention.self.value", "encoder.layer.2.output"),
    (
        "0.intermediate.dense",
        "encoder.layer.1.intermediate.dense",
        "encoder.layer.1.attention.output",
    ),
    ("", "pooler.dense", "encoder.layer.3.output"),
]


@pytest.mark.parametrize(("ours", "theirs", "norm"), READERS)
def test_what_reads_gets_the_constant_of_the_norm_that_it_read(teacher, ours, theirs, norm):
    model, _ = made(teacher, spec(hidden_size=8, heads=2, init_width="slice"))
    weights = teacher.state_dict()
    lost = torch.ones(16, dtype=torch.bool)
    lost[sliced(weights, 8).basis.nonzero()[:, 0]] = False
    constant = weights[f"bert.{norm}.LayerNorm.bias"]
    full = (
        weights[f"bert.{theirs}.bias"] + weights[f"bert.{theirs}.weight"][:, lost] @ constant[lost]
    )
    name = f"bert.encoder.layer.{ours}.bias" if ours else "bert.pooler.dense.bias"
    found = model.state_dict()[name]
    assert all(torch.isclose(full, bias, rtol=1e-5, atol=1e-6).sum() == 1 for bias in found)


def test_units_that_move_all_classes_alike_dont_count_as_strong(teacher):
    other = copy.deepcopy(teacher)
    with torch.no_grad():
        other.classifier.weight += torch.linspace(-9, 9, 16)
    name = "bert.pooler.dense.weight"
    poolers = [
        made(one, spec(hidden_size=8, heads=2))[0].state_dict()[name] for one in (teacher, other)
    ]
    assert equal(*poolers)


def test_a_whole_stream_changes_nothing():
    weight = torch.randn(5, 16)
    stream = kept(16)
    assert stream.read(weight) is weight
    assert stream.write(weight) is weight
    assert stream.scale(weight) is weight


@pytest.mark.parametrize("width", ["slice", "project"])
def test_the_solvers_signs_dont_show(teacher, width, monkeypatch):
    wanted = spec(hidden_size=8, heads=2, init_width=width)
    plain, _ = made(teacher, wanted)
    eigh, svd = torch.linalg.eigh, torch.linalg.svd

    def flipped_eigh(matrix):
        found = eigh(matrix)
        return type(found)((found.eigenvalues, -found.eigenvectors))

    def flipped_svd(matrix):
        found = svd(matrix)
        return type(found)((-found.U, found.S, -found.Vh))

    monkeypatch.setattr(torch.linalg, "eigh", flipped_eigh)
    monkeypatch.setattr(torch.linalg, "svd", flipped_svd)
    flipped, _ = made(teacher, wanted)
    ours = plain.state_dict()
    assert all(equal(t, ours[name]) for name, t in flipped.state_dict().items())


def test_neither_the_teacher_nor_the_random_numbers_change(teacher):
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    state = torch.random.get_rng_state()
    model, _ = made(teacher, spec(layers=4))
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.zero_()  # the student's own memory
    assert all(torch.equal(t, before[n]) for n, t in teacher.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_teacher_in_half_precision_gives_float32(teacher):
    half = BertForSequenceClassification(teacher.config).half()
    half.load_state_dict(teacher.state_dict())
    model, _ = made(half, spec(hidden_size=8, heads=2))
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    again, _ = made(half.float(), spec(hidden_size=8, heads=2))
    assert all(equal(t, model.state_dict()[n]) for n, t in again.state_dict().items())


def test_what_cant_start_from_its_teacher_is_refused_with_all_reasons(teacher):
    wanted = spec(layers=5, hidden_size=20)
    model = student.build(student.config(wanted, teacher.config, ("a", "b", "c")), seed=0)
    with pytest.raises(TeacherError, match=r"layers 5 .* 4.*; .*hidden size 20 .* 16"):
        initialise(model, teacher, wanted)


def test_a_teacher_of_another_layout_is_refused(teacher):
    other = tiny_teacher("xlnet")
    wanted = spec()
    model = student.build(student.config(wanted, other.config, ("a", "b")), seed=0)
    with pytest.raises(TeacherError, match=r"xlnet .* random works"):
        initialise(model, other, wanted)


def test_a_student_whose_tables_are_of_another_size_is_refused(teacher):
    wanted = spec()
    shape = student.config(wanted, teacher.config, ("a", "b", "c"))
    shape.vocab_size = 1  # a single row would broadcast
    with pytest.raises(ValueError, match=r"word_embeddings.weight: \(40, 16\) for \(1, 16\)"):
        initialise(student.build(shape, seed=0), teacher, wanted)


@pytest.mark.real
def test_a_projected_student_keeps_which_words_are_alike(shared):
    real = BertForSequenceClassification.from_pretrained(
        shared / "teachers" / "minilm-l6-sst2", dtype=torch.float32
    )
    # Cosines of 500 words with each other: the student's against the teacher's.
    likeness = {}
    chosen_words = torch.arange(2000, 2500)
    theirs = cosines(real.state_dict()[WORDS][chosen_words])
    for width in ("slice", "project"):
        wanted = StudentSpec(layers=1, hidden_size=128, heads=4, init_width=width)
        model, _ = made(real, wanted, names=("negative", "positive"))
        ours = cosines(model.state_dict()[WORDS][chosen_words])
        likeness[width] = torch.corrcoef(torch.stack([theirs, ours]))[0, 1]
    # Random directions or coordinates hold a third of the variance; PCA's hold more.
    assert likeness["project"] > likeness["slice"]


def cosines(rows):
    rows = torch.nn.functional.normalize(rows - rows.mean(0), dim=1)
    return (rows @ rows.T)[tuple(torch.triu_indices(len(rows), len(rows), 1))]
