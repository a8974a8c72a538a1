"""The teacher's cached signals equal the live ones, and are computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from tune_distill import cache
from tune_distill.cache import build as building
from tune_distill.errors import TeacherError
from tune_distill.signals import Needs, Signals
from tune_distill.tasks import Encoded

ROWS, VOCABULARY, LAYERS, WIDTH, CLASSES = 37, 50, 2, 16, 3
ALL = Needs(logits=True, cls=(0, 1, 2), hidden=(0, 2), qkv=(1,))


def split(rows: int = ROWS, seed: int = 0) -> Encoded:
    """Rows of 1 to 11 random tokens."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, rows)
    total = int(lengths.sum())
    return Encoded(
        rng.integers(1, VOCABULARY, total).astype(np.uint16),
        rng.integers(0, 2, total).astype(np.uint8),
        np.concatenate(([0], np.cumsum(lengths))),
        rng.integers(0, CLASSES, rows),
        pad_id=0,
    )


def bert(seed: int = 0, dropout: float = 0.3) -> BertForSequenceClassification:
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=12,
        hidden_dropout_prob=dropout,
        num_labels=CLASSES,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification(config).eval()


@pytest.fixture
def encoded() -> Encoded:
    return split()


@pytest.fixture
def model() -> BertForSequenceClassification:
    return bert()


def ensure(model, encoded, needs, root, *, limit_gb=1.0, say=lambda line: None, **options):
    return cache.ensure(model, encoded, needs, root, limit_gb=limit_gb, say=say, **options)


def forwards(model: torch.nn.Module) -> list[int]:
    """Grows by one at each forward pass of the model."""
    seen: list[int] = []
    model.register_forward_hook(lambda *_: seen.append(1))
    return seen


def tensors(found: Signals) -> dict[str, torch.Tensor]:
    """Every signal by name; those of tokens at real tokens only."""
    flat = {} if found.logits is None else {"logits": found.logits}
    flat |= {f"cls.{layer}": value for layer, value in found.cls.items()}
    for kind in ("hidden", "query", "key", "value"):
        layers = getattr(found, kind).items()
        flat |= {f"{kind}.{layer}": value[found.mask] for layer, value in layers}
    return flat


def assert_as_live(found: Signals, live: Signals) -> None:
    # float16 has 11 significant bits: rounding to nearest errs by at most 2^-11 = 4.9e-4 of a
    # value (subnormals apart).
    ours, expected = tensors(found), tensors(live)
    assert ours.keys() == expected.keys()
    for name, value in ours.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, expected[name], rtol=6e-4, atol=1e-6, msg=name)


def test_cached_signals_equal_live_ones_whatever_the_order_of_rows(model, encoded, tmp_path):
    made = ensure(model, encoded, ALL, tmp_path)
    opened, live = cache.TeacherSignals(made.folder, ALL), cache.LiveTeacher(model)
    rng = np.random.default_rng(3)
    for rows in (
        np.arange(ROWS),
        rng.permutation(ROWS)[:8],
        np.array([ROWS - 1]),
        np.array([4, 4]),
    ):
        batch = encoded.batch(rows)
        assert_as_live(opened(batch, ALL), live(batch, ALL))


def test_small_windows_change_nothing(model, encoded, tmp_path, monkeypatch):
    whole = ensure(model, encoded, ALL, tmp_path / "whole")
    # A window of 1 byte holds a single row; 3,000 bytes hold a few.
    for window in (1, 3000):
        monkeypatch.setattr(building, "WINDOW", window)
        parts = ensure(model, encoded, ALL, tmp_path / str(window))
        batch = encoded.batch(np.arange(ROWS))
        assert_as_live(
            cache.TeacherSignals(parts.folder, ALL)(batch, ALL),
            cache.TeacherSignals(whole.folder, ALL)(batch, ALL),
        )


def test_padding_is_zero(model, encoded, tmp_path):
    opened = cache.TeacherSignals(ensure(model, encoded, ALL, tmp_path).folder, ALL)
    found = opened(encoded.batch(np.arange(ROWS)), ALL)
    assert (~found.mask).any()
    assert not found.hidden[2][~found.mask].any()
    assert not found.value[1][~found.mask].any()


def test_a_teacher_in_training_mode_is_put_in_eval_mode(model, encoded, tmp_path):
    reference = tensors(cache.LiveTeacher(model)(encoded.batch(np.arange(ROWS)), ALL))
    model.train()
    made = ensure(model, encoded, ALL, tmp_path)
    assert not model.training
    model.train()
    live = cache.LiveTeacher(model)
    model.train()  # whoever shares it may train it between two steps
    batch = encoded.batch(np.arange(ROWS))
    cached = cache.TeacherSignals(made.folder, ALL)
    for found in (live(batch, ALL), live(batch, ALL), cached(batch, ALL)):
        for name, value in tensors(found).items():
            torch.testing.assert_close(value, reference[name], rtol=6e-4, atol=1e-5)


def test_a_second_search_computes_nothing(model, encoded, tmp_path):
    first = ensure(model, encoded, ALL, tmp_path)
    seen = forwards(model)
    second = ensure(model, encoded, ALL, tmp_path)
    assert not seen
    assert (second.computed, second.folder) == ((), first.folder)
    assert set(first.computed) == set(ALL.names())


def test_what_is_added_is_computed_alone(model, encoded, tmp_path):
    first = ensure(model, encoded, Needs(logits=True, cls=(1,)), tmp_path)
    kept = {file: file.stat().st_mtime_ns for file in first.folder.glob("*.bin")}
    more = ensure(model, encoded, Needs(logits=True, cls=(1, 2), hidden=(1,)), tmp_path)
    assert more.folder == first.folder
    assert more.computed == ("cls.2", "hidden.1")
    assert all(file.stat().st_mtime_ns == time for file, time in kept.items())


def test_files_weigh_what_arithmetic_says(model, encoded, tmp_path):
    made = ensure(model, encoded, ALL, tmp_path)
    tokens = int(encoded.lengths.sum())
    # logits: 37 rows x 3 classes x 2 bytes; CLS: 37 x 16 x 2; per token: 16 x 2.
    assert made.plan.bytes == {
        "logits": 37 * 3 * 2,
        **{f"cls.{layer}": 37 * 16 * 2 for layer in (0, 1, 2)},
        **dict.fromkeys(("hidden.0", "hidden.2", "query.1", "key.1", "value.1"), tokens * 32),
    }
    for name, size in made.plan.bytes.items():
        (file,) = made.folder.glob(f"{name}.*.bin")
        assert file.stat().st_size == size
    assert made.plan.total() == sum(made.plan.bytes.values())


def test_signals_of_rows_are_filed_alone_and_read_so(model, encoded, tmp_path):
    rows = Needs(logits=True, cls=(2,))
    folder = ensure(model, encoded, rows, tmp_path).folder
    assert {file.name.split(".")[0] for file in folder.glob("*.bin")} == {"logits", "cls"}
    batch = encoded.batch(np.array([7, 3, 30]))
    assert_as_live(
        cache.TeacherSignals(folder, rows)(batch, rows), cache.LiveTeacher(model)(batch, rows)
    )
    other = split(rows=ROWS + 1, seed=9)
    with pytest.raises(ValueError, match="another split"):
        cache.TeacherSignals(folder, rows)(other.batch(np.array([ROWS])), rows)


def test_exact_logits_are_float32_and_lie_elsewhere(model, encoded, tmp_path):
    asked = Needs(logits=True)
    halved = ensure(model, encoded, asked, tmp_path).folder
    exact = ensure(model, encoded, asked, tmp_path, exact=True).folder
    assert exact != halved
    batch = encoded.batch(np.arange(ROWS))
    found = cache.TeacherSignals(exact, asked)(batch, asked)
    live = cache.LiveTeacher(model)(batch, asked)  # in batches of other shapes: other last bits
    torch.testing.assert_close(found.logits, live.logits, rtol=1e-5, atol=1e-6)
    rounded = cache.TeacherSignals(halved, asked)(batch, asked)
    assert torch.equal(found.logits.half().float(), rounded.logits)


def test_sizes_are_said_before_anything_is_written(model, encoded, tmp_path):
    said = []

    def say(line: str) -> None:
        said.append((line, len(list(tmp_path.rglob("*.bin")))))

    ensure(model, encoded, ALL, tmp_path, say=say)
    sizes = [written for line, written in said if "to be computed" in line]
    assert sizes == [0] * len(ALL.names())


def test_over_the_limit_the_smallest_signals_are_cached_and_the_others_live(
    model, encoded, tmp_path
):
    tokens = int(encoded.lengths.sum())
    small = 37 * 3 * 2 + 3 * 37 * 16 * 2  # logits and CLS
    # Room for one hidden state and a byte less than a second; q, k, v are one unit of three.
    limit_gb = (small + 2 * tokens * 16 * 2 - 1) / 1e9
    said = []
    made = ensure(model, encoded, ALL, tmp_path, limit_gb=limit_gb, say=said.append)
    assert made.plan.cached == Needs(logits=True, cls=(0, 1, 2), hidden=(0,))
    assert made.plan.live == Needs(hidden=(2,), qkv=(1,))
    assert any("hidden.2" in line and "live: over the limit" in line for line in said)
    assert not list(made.folder.glob("query*"))


def test_a_trial_runs_a_live_teacher_only_if_one_of_its_signals_is_not_cached(
    model, encoded, tmp_path
):
    made = ensure(model, encoded, Needs(logits=True), tmp_path)
    loaded = []
    kept = cache.source(made.folder, lambda: loaded.append(1), Needs(logits=True))
    assert not loaded
    assert isinstance(kept, cache.TeacherSignals)
    both = Needs(logits=True, hidden=(1,))
    live = cache.source(made.folder, lambda: model, both)
    assert isinstance(live, cache.LiveTeacher)
    batch = encoded.batch(np.arange(5))
    assert set(live(batch, both).hidden) == {1}
    assert isinstance(cache.source(None, lambda: model, Needs(logits=True)), cache.LiveTeacher)


def test_a_full_disk_is_a_limit(model, encoded, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 37 * 3 * 2})
    monkeypatch.setattr("tune_distill.cache.upkeep.shutil.disk_usage", lambda path: usage)
    made = ensure(model, encoded, ALL, tmp_path)
    assert made.plan.cached == Needs(logits=True)


def test_live_signals_enter_a_loss_that_has_gradients(model, encoded):
    found = cache.LiveTeacher(model)(encoded.batch(np.arange(4)), Needs(logits=True))
    weight = torch.ones(CLASSES, requires_grad=True)
    (found.logits * weight).square().sum().backward()  # inference tensors would be refused here
    assert weight.grad is not None
    assert not found.logits.requires_grad


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda m, e: (bert(seed=1), e), id="weights"),
        pytest.param(lambda m, e: (m, split(seed=1)), id="tokens"),
        pytest.param(lambda m, e: (m, replace(e, types=1 - e.types)), id="types"),
    ],
)
def test_the_key_follows_the_content(model, encoded, tmp_path, other):
    first = ensure(model, encoded, Needs(logits=True), tmp_path)
    second = ensure(*other(model, encoded), Needs(logits=True), tmp_path)
    assert second.folder != first.folder
    assert second.computed == ("logits",)


def test_labels_are_not_part_of_the_key(model, encoded, tmp_path):
    first = ensure(model, encoded, Needs(logits=True), tmp_path)
    flipped = replace(encoded, labels=CLASSES - 1 - encoded.labels)
    assert ensure(model, flipped, Needs(logits=True), tmp_path) == replace(first, computed=())


def test_a_batch_of_another_split_is_refused(model, encoded, tmp_path):
    opened = cache.TeacherSignals(ensure(model, encoded, ALL, tmp_path).folder, ALL)
    other = split(rows=ROWS + 5, seed=9)
    with pytest.raises(ValueError, match="another split"):
        opened(other.batch(np.arange(ROWS, ROWS + 5)), ALL)
    longer = np.flatnonzero(other.lengths[:ROWS] != encoded.lengths)[:1]
    with pytest.raises(ValueError, match="another split"):
        opened(other.batch(longer), ALL)


@pytest.mark.parametrize(
    ("value", "message"), [(1e5, r"hidden\.0 reaches 10000\d.*cache_gb: 0"), (np.nan, "not finite")]
)
def test_what_float16_cannot_hold_is_refused(model, encoded, tmp_path, value, message):
    with torch.no_grad():
        model.bert.embeddings.LayerNorm.bias[0] = value
    with pytest.raises(TeacherError, match=message):
        ensure(model, encoded, Needs(hidden=(0,)), tmp_path)
    assert {file.name.partition(".")[0] for file in tmp_path.rglob("*.bin")} == {"offsets"}
    assert not list(tmp_path.rglob("*.part"))


def test_progress_ends_at_the_last_row(model, encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "WINDOW", 3000)
    seen = []
    ensure(model, encoded, ALL, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == (ROWS, ROWS)


def test_a_split_without_token_types_serves_too(model, encoded, tmp_path):
    untyped = replace(encoded, types=None)
    made = ensure(model, untyped, ALL, tmp_path)
    batch = untyped.batch(np.arange(6))
    assert_as_live(
        cache.TeacherSignals(made.folder, ALL)(batch, ALL), cache.LiveTeacher(model)(batch, ALL)
    )


def test_electras_embeddings_are_kept_as_they_enter_its_blocks(encoded, tmp_path):
    from transformers import ElectraConfig, ElectraForSequenceClassification

    config = ElectraConfig(
        vocab_size=VOCABULARY,
        embedding_size=8,
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=12,
        num_labels=CLASSES,
    )
    electra = ElectraForSequenceClassification(config).eval()
    needs = Needs(hidden=(0, 1))
    made = ensure(electra, encoded, needs, tmp_path)
    assert made.plan.bytes["hidden.1"] == made.plan.bytes["hidden.0"]
    batch = encoded.batch(np.arange(6))
    found = cache.TeacherSignals(made.folder, needs)(batch, needs)
    live = cache.LiveTeacher(electra)(batch, needs)
    for layer in (0, 1):
        torch.testing.assert_close(
            found.hidden[layer][found.mask], live.hidden[layer][found.mask], rtol=6e-4, atol=1e-6
        )


def test_the_folder_can_be_moved(model, encoded, tmp_path):
    made = ensure(model, encoded, Needs(logits=True), tmp_path / "here")
    moved: Path = made.folder.rename(tmp_path / "there")
    logits = Needs(logits=True)
    found = cache.TeacherSignals(moved, logits)(encoded.batch(np.arange(3)), logits)
    assert found.logits.shape == (3, CLASSES)


def other_tokens(encoded: Encoded, seed: int = 5) -> tuple[Encoded, np.ndarray]:
    """The same rows in other tokens, and which are the same: renumbered, or else 1 to 14 others."""
    rng = np.random.default_rng(seed)
    same = rng.random(len(encoded)) < 0.5
    same[:2] = True, False
    tokens = []
    for row, kept in enumerate(same):
        own = encoded.tokens[encoded.offsets[row] : encoded.offsets[row + 1]].astype(np.int64)
        tokens.append(own + 100 if kept else rng.integers(100, 150, rng.integers(1, 15)))
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in tokens])))
    return Encoded(np.concatenate(tokens), None, offsets, encoded.labels, pad_id=9), same


@pytest.fixture(params=["cached", "live"])
def for_others(request, model, encoded, tmp_path):
    """Teachers of a student that reads other tokens: (the student's split, same, the teacher)."""
    own, same = other_tokens(encoded)
    alignment = cache.Alignment(encoded, same)
    folder = ensure(model, encoded, ALL, tmp_path).folder if request.param == "cached" else None
    return own, same, cache.source(folder, lambda: model, ALL, alignment=alignment)


def test_rows_of_other_tokens_have_the_teachers_logits_and_cls_and_no_tokens(
    for_others, model, encoded
):
    own, same, teacher = for_others
    live = cache.LiveTeacher(model)
    rng = np.random.default_rng(2)
    for rows in (np.arange(ROWS), rng.permutation(ROWS)[:7], np.array([1]), np.array([0, 1])):
        batch, theirs = own.batch(rows), live(encoded.batch(rows), ALL)
        found = teacher(batch, ALL)
        length = batch.input_ids.shape[1]
        assert found.mask.shape == (len(rows), length)
        assert found.mask.dtype == torch.bool
        assert (found.mask.any(dim=1).numpy() == same[rows]).all()
        assert (
            found.mask == batch.attention_mask.bool() & torch.from_numpy(same[rows])[:, None]
        ).all()
        torch.testing.assert_close(found.logits, theirs.logits, rtol=6e-4, atol=1e-6)
        for layer, value in found.cls.items():
            torch.testing.assert_close(value, theirs.cls[layer], rtol=6e-4, atol=1e-5)
        for kind in ("hidden", "query", "key", "value"):
            for layer, value in getattr(found, kind).items():
                assert value.shape == (len(rows), length, WIDTH)
                assert torch.isfinite(value).all()
                mask = theirs.mask & torch.from_numpy(same[rows])[:, None]
                expected = getattr(theirs, kind)[layer][mask]
                torch.testing.assert_close(value[found.mask], expected, rtol=6e-4, atol=1e-5)


def test_only_what_is_asked_is_given(for_others):
    own, _, teacher = for_others
    found = teacher(own.batch(np.arange(5)), Needs(logits=True, hidden=(2,)))
    assert set(found.hidden) == {2}
    assert not found.cls
    assert not found.query


def test_an_aligned_row_that_is_longer_than_the_batch_is_refused(model, encoded, tmp_path):
    folder = ensure(model, encoded, ALL, tmp_path).folder
    own, _ = other_tokens(encoded)
    shorter = np.flatnonzero(own.lengths < encoded.lengths)[:1]
    claimed = cache.Alignment(encoded, np.ones(ROWS, bool))
    opened = cache.TeacherSignals(folder, ALL, claimed)
    with pytest.raises(ValueError, match="another split or tokenizer"):
        opened(own.batch(shorter), ALL)


def test_the_cache_does_not_know_how_students_read(model, encoded, tmp_path):
    first = ensure(model, encoded, ALL, tmp_path)
    own, same = other_tokens(encoded)
    opened = cache.source(
        first.folder, lambda: model, ALL, alignment=cache.Alignment(encoded, same)
    )
    assert isinstance(opened, cache.TeacherSignals)
    assert opened(own.batch(np.arange(3)), ALL).logits.shape == (3, CLASSES)
