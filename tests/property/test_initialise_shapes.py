"""Laws of initialisation that hold for every feasible shape."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiny import bert
from tune_distill import student
from tune_distill.initialise import initialise
from tune_distill.initialise.attention import Heads, pieces
from tune_distill.layers import mapping
from tune_distill.methods import FineTune, TaskShape
from tune_distill.spec import StudentSpec

TEACHERS = {heads: bert(layers=3, hidden_size=12, heads=heads) for heads in (1, 2, 3, 4, 6)}


@st.composite
def specs(draw):
    hidden = draw(st.integers(1, 12))
    return StudentSpec(
        layers=draw(st.integers(1, 3)),
        hidden_size=hidden,
        heads=draw(st.sampled_from([h for h in range(1, hidden + 1) if hidden % h == 0])),
        intermediate_size=draw(st.integers(1, 24)),
        init=draw(st.sampled_from(["uniform", "first", "last"])),
        init_width=draw(st.sampled_from(["slice", "project"])),
    )


@settings(max_examples=60, deadline=None)
@given(spec=specs(), heads=st.sampled_from(sorted(TEACHERS)))
def test_every_feasible_student_starts_whole_and_finite(spec, heads):
    teacher = TEACHERS[heads]
    assert student.infeasible(spec, teacher.config, FineTune(), TaskShape(2)) == []
    model = student.build(student.config(spec, teacher.config, ("a", "b")), seed=0)
    report = initialise(model, teacher, spec)
    assert [row.name for row in report.rows] == list(model.state_dict())
    assert "new" not in report.tensors
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[1, 7, 8, 2]])).logits
    assert torch.isfinite(logits).all()


@given(teacher=st.integers(1, 48), data=st.data())
def test_blocks_are_taken_in_order_and_none_twice(teacher, data):
    depth = data.draw(st.integers(1, teacher))
    for which in ("uniform", "first", "last"):
        taken = mapping(which, depth, teacher)
        assert list(taken) == sorted(set(taken))
        assert len(taken) == depth
        assert 1 <= taken[0] <= taken[-1] <= teacher
    assert mapping("uniform", depth, teacher)[-1] == teacher


@given(teacher=st.integers(1, 24), dims=st.integers(1, 64), data=st.data())
def test_no_piece_is_smaller_than_the_head_that_it_becomes(teacher, dims, data):
    count = data.draw(st.integers(1, teacher * dims))
    wanted = Heads(count, data.draw(st.integers(1, teacher * dims // count)))
    cut = pieces(torch.arange(teacher), Heads(teacher, dims), wanted)
    assert len(cut) == count
    assert min(map(len, cut)) >= wanted.dims
