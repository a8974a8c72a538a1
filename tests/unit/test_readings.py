"""How students read: prepared once, pinned, aligned with the teacher row by row."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from tests import reading_study
from tests.reading_study import FEW
from tune_distill import draws, prepare, reading, tasks, teacher
from tune_distill.errors import DataError, SpecError, TeacherError
from tune_distill.spec import StudentSpec


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    reading_study.write(folder)
    return folder


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def inputs(home, said):
    _, spec = reading_study.study(home)
    return prepare.prepare(spec, home / "cache", said.append)


def prepared(home, say=lambda line: None, **student):
    """The readings of the study with other knobs."""
    _, spec = reading_study.study(home, **student)
    found = prepare.prepare_teacher(spec, home / "cache", lambda line: None)
    return reading.prepare(spec, found.folder, found.task, found.rows, home / "cache", say)


def one(inputs, home, checkpoint=None, vocab="full"):
    knobs = {"layers": 1, "hidden_size": 16, "heads": 4}
    named = str(home / checkpoint) if checkpoint else None
    return reading.find(inputs.readings, StudentSpec(**knobs, checkpoint=named, vocab=vocab))


def test_every_combination_is_read_and_knows_whose_tokens_it_reads(inputs, home):
    names = {None: None, str(home / "kin"): "kin", str(home / "stranger"): "stranger"}
    found = {(names[r.checkpoint], r.vocab): r.of_teacher for r in inputs.readings}
    assert found == {
        (None, FEW): True,
        (None, "full"): True,
        ("kin", FEW): True,
        ("kin", "full"): True,
        ("stranger", FEW): False,
        ("stranger", "full"): False,
    }


def test_the_teachers_own_reading_is_the_teachers(inputs, home):
    own = one(inputs, home)
    assert (own.task, own.source, own.tokenizer) == (inputs.task, inputs.teacher, inputs.teacher)
    assert reading.source(own) is reading.model(inputs.teacher)
    assert reading.alignment(own, inputs.teacher, inputs.task) is None


def test_every_reading_has_the_same_rows_in_the_same_order(inputs):
    expected = tasks.open_prepared(inputs.task)
    for each in inputs.readings:
        task = tasks.open_prepared(each.task)
        for split in ("train", "search", "heldout"):
            assert task.rows(split).texts == expected.rows(split).texts
            assert (getattr(task, split).labels == getattr(expected, split).labels).all()


def test_a_smaller_vocabulary_keeps_the_embeddings_of_its_tokens(inputs, home):
    for checkpoint in (None, "kin", "stranger"):
        few, full = (one(inputs, home, checkpoint, vocab) for vocab in (FEW, "full"))
        small, whole = reading.tokenizer(few), teacher.load_tokenizer(full.source)
        assert len(small) == FEW < len(whole)
        rows = reading.source(few).get_input_embeddings().weight
        given = reading.source(full).get_input_embeddings().weight
        assert rows.shape[0] == reading.source(few).config.vocab_size == FEW
        for token, number in small.get_vocab().items():
            assert (rows[number] == given[whole.get_vocab()[token]]).all()


def test_a_smaller_vocabulary_is_aligned_with_the_teacher_where_rows_read_the_same(inputs, home):
    few = one(inputs, home, vocab=FEW)
    found = reading.alignment(few, inputs.teacher, inputs.task)
    texts = tasks.open_prepared(inputs.task).rows("train").texts[0]
    own, theirs = reading.tokenizer(few), teacher.load_tokenizer(inputs.teacher)
    assert found.same.tolist() == [own.tokenize(t) == theirs.tokenize(t) for t in texts]
    assert 0 < found.same.sum() < len(texts)
    assert found.encoded.tokens.tolist() == tasks.open_prepared(inputs.task).train.tokens.tolist()


def test_of_other_tokens_no_row_is_aligned(inputs, home):
    for vocab in (FEW, "full"):
        own = one(inputs, home, "stranger", vocab)
        assert not reading.alignment(own, inputs.teacher, inputs.task).same.any()


def test_a_checkpoint_of_the_teachers_tokens_reads_the_teachers_rows(inputs, home):
    own = one(inputs, home, "kin")
    assert own.task == inputs.task
    assert reading.alignment(own, inputs.teacher, inputs.task) is None
    assert reading.source(own).config.num_hidden_layers == 2
    assert reading.source(own).config.hidden_size == 24


def test_what_a_vocabulary_does_to_the_texts_is_said(inputs, home, said):
    rows = tasks.open_prepared(inputs.task)
    own = reading.tokenizer(one(inputs, home, vocab=FEW))
    theirs = teacher.load_tokenizer(inputs.teacher)
    texts = rows.rows("train").texts[0]
    kept = 100 * np.mean([own.tokenize(t) == theirs.tokenize(t) for t in texts])
    (line,) = [line for line in said if "tokens of the teacher:" in line]
    assert line == (
        f"vocabulary of {FEW} of {len(theirs)} tokens of the teacher: {kept:.1f} % of train rows "
        "keep theirs; of train's and search's tokens 0.00 % and 0.00 % are unknown (0.00 % and "
        "0.00 % with all)"
    )
    assert sum(f"vocabulary of {FEW} " in line for line in said) == 3


def test_the_unknown_rate_is_that_of_the_tokens(home):
    from tune_distill.reading.vocabularies import told
    from tune_distill.tasks import Rows, encode

    own = teacher.load_tokenizer(home / "teacher")
    splits = [Rows((texts,), np.zeros(2, np.int64)) for texts in (["a \u4e2d", "a"], ["a", "a a"])]
    encoded = tuple(encode(rows, own, 16) for rows in splits)
    # [CLS] a [UNK] [SEP] [CLS] a [SEP]: 1 of 7.
    assert "14.29 % and 0.00 % are unknown" in told(None, own, own, encoded, encoded)


def test_a_vocabulary_as_large_as_the_tokenizers_is_full(home, inputs):
    everything = len(teacher.load_tokenizer(inputs.teacher))
    found = prepared(home, vocab=[everything, everything + 1, "full"], checkpoint=None)
    assert len({(r.task, r.tokenizer, r.source) for r in found}) == 1


def test_a_vocabulary_that_is_too_small_is_refused_before_anything_is_made(home, inputs):
    with pytest.raises(DataError, match=r"student.vocab: 20 tokens .* are 57; so many or more"):
        prepared(home, vocab=20, checkpoint=None)


def test_a_checkpoint_that_is_not_there_is_refused_with_its_place(home, inputs):
    with pytest.raises(TeacherError, match=r"space.student.checkpoint: .*nowhere is no folder"):
        prepared(home, checkpoint=str(home / "nowhere"), vocab="full")


def test_a_checkpoint_is_pinned_and_a_new_head_is_the_same_each_time(home, inputs, tmp_path):
    moved = tmp_path / "encoder"
    shutil.copytree(home / "kin", moved)
    (first,) = prepared(home, checkpoint=str(moved), vocab="full")
    (again,) = prepared(home, checkpoint=str(moved), vocab="full")
    assert first == again
    shutil.rmtree(moved)
    assert teacher.load(first.source).config.id2label == {0: "negative", 1: "positive"}

    shutil.copytree(home / "kin", moved)
    changed = teacher.load(first.source).base_model
    changed.embeddings.word_embeddings.weight += 1
    changed.save_pretrained(moved)
    (other,) = prepared(home, checkpoint=str(moved), vocab="full")
    assert other.source != first.source


def test_a_damaged_tokenizer_is_written_anew(home, inputs):
    own = one(inputs, home, vocab=FEW)
    file = own.tokenizer / "tokenizer.json"
    whole = file.read_bytes()
    for damaged in (b"{", whole.replace(b'"##b"', b'"##B"')):
        file.write_bytes(damaged)
        (found,) = prepared(home, vocab=FEW, checkpoint=None)
        assert found == own
        assert file.read_bytes() == whole


def params(home, method, checkpoint=None, vocab="full", **knobs):
    drawn = {"layers": 1, "hidden_size": 16, "heads": 4, "vocab": vocab}
    drawn["checkpoint"] = str(home / checkpoint) if checkpoint else None
    named = {f"student.{knob}": value for knob, value in drawn.items()}
    return named | {"method": method} | {f"method.{method}.{k}": v for k, v in knobs.items()}


def test_across_tokenizers_methods_on_logits_alone_are_legal(home, inputs):
    _, spec = reading_study.study(home)

    def refused(*drawn):
        return draws.infeasible(spec, inputs, params(home, *drawn))

    for checkpoint in (None, "kin", "stranger"):
        for vocab in (FEW, "full"):
            assert refused("kd", checkpoint, vocab) == []
            assert refused("finetune", checkpoint, vocab) == []
    for checkpoint in (None, "kin"):
        assert refused("minilm2", checkpoint, FEW) == []
    (reason,) = refused("minilm2", "stranger", "full")
    assert re.match(
        r".*stranger reads other tokens than the teacher, and minilm2 compares what both make of "
        r"the same ones \(query\.\d, key\.\d, value\.\d\); methods on logits alone, such as kd",
        reason,
    )


def test_what_a_student_starts_from_bounds_it_not_its_teacher(home, inputs):
    _, spec = reading_study.study(home)
    deep = {"student.layers": 1, "student.hidden_size": 32, "student.heads": 4}
    assert draws.infeasible(spec, inputs, params(home, "kd") | deep) == []
    (reason, *_) = draws.infeasible(spec, inputs, params(home, "kd", "kin") | deep)
    assert reason.startswith("the student's hidden size 32 exceeds the checkpoint's 24, so")


def test_check_tells_of_the_same_readings_without_making_any(home, inputs, said):
    _, spec = reading_study.study(home)
    task = prepare.load_task(spec, lambda line: None)
    config, tokenizer = teacher.outline(spec.teacher, task, spec.task.max_length)
    lines = []
    found = reading.outlines(spec, config, tokenizer, task, lines.append)
    assert len(found) == len(inputs.readings)
    for outline, full in zip(found, inputs.readings, strict=True):
        assert (outline.checkpoint, outline.vocab) == (full.checkpoint, full.vocab)
        assert outline.of_teacher == full.of_teacher
        source = reading.source(full).config
        assert outline.config.vocab_size == source.vocab_size
        assert outline.config.pad_token_id == source.pad_token_id
        assert outline.config.model_type == source.model_type
        # The split has fewer rows than are sampled: all of them.
        assert outline.lengths.tolist() == tasks.open_prepared(full.task).train.lengths.tolist()
    assert lines == [line for line in said if line.startswith("vocabulary of")][: len(lines)]
    assert config.vocab_size == len(tokenizer), "the teacher's own config is not touched"


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"vocab": 0}, "space.student.vocab: 0 will not do: it should be greater than 0 or should"),
        ({"vocab": "some"}, "space.student.vocab: 'some' will not do"),
        ({"vocab": {"uniform": [1.0, 2.0]}}, "space.student.vocab: 1.0 will not do"),
        ({"checkpoint": 7}, "space.student.checkpoint: 7 will not do: it should be a valid string"),
        (
            {"vocab": {"int": [1000, 1021]}, "checkpoint": [None, "one", "two"]},
            "space: student: 66 combinations of vocab and checkpoint",
        ),
    ],
)
def test_a_study_names_vocabularies_and_checkpoints(home, knobs, message):
    with pytest.raises(SpecError) as refusal:
        reading_study.study(home, **knobs)
    assert any(problem.startswith(message) for problem in refusal.value.problems), refusal.value


def test_a_range_of_vocabularies_is_read_at_every_step(home):
    found = prepared(home, vocab={"int": [60, 70, 5]}, checkpoint=None)
    assert [r.vocab for r in found] == [60, 65, 70]
