"""Which teachers are taken, and why the others are refused."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    ByT5Tokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from tune_distill import teacher
from tune_distill.errors import TeacherError
from tune_distill.spec import TeacherSpec
from tune_distill.tasks import Rows, Task, tokenizer_digest
from tune_distill.teacher import suit
from tune_distill.teacher.builtin import train_tokenizer
from tune_distill.teacher.loading import digest, load, load_tokenizer
from tune_distill.teacher.locate import locate

TEXTS = [f"a {mood} film about number {n % 7}" for n in range(20) for mood in ("good", "bad")]


def rows(classes: int = 2) -> Rows:
    return Rows((TEXTS,), np.arange(len(TEXTS)) % classes)


def task(label_names: tuple[str, ...] = ("negative", "positive")) -> Task:
    made = rows(max(2, len(label_names)))
    return Task("films", made, made, made, label_names, "accuracy", "digest of the rows")


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 60, 16)


def config(tokenizer, names: tuple[str, ...] = ("negative", "positive"), **values) -> BertConfig:
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 16,
        "id2label": dict(enumerate(names)),
    }
    return BertConfig(**(settings | values))


def bert(*arguments, **values) -> BertForSequenceClassification:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertForSequenceClassification(config(*arguments, **values))


@pytest.fixture
def folder(tmp_path, tokenizer) -> Path:
    """A good teacher."""
    place = tmp_path / "teacher"
    bert(tokenizer).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def resolve(folder: Path | str, root: Path, say=lambda line: None, of: Task | None = None) -> Path:
    return teacher.resolve(TeacherSpec(model=str(folder)), of or task(), 16, root, say)


def refused(folder: Path | str, root: Path, of: Task | None = None) -> str:
    """Why; in one line."""
    with pytest.raises(TeacherError) as caught:
        resolve(folder, root, of=of)
    return str(caught.value)


def test_a_loaded_teacher_is_float32_frozen_and_in_eval_mode(tmp_path, tokenizer):
    bert(tokenizer).half().save_pretrained(tmp_path)
    model = load(tmp_path)
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_loading_is_silent(folder, capfd):
    load(folder)
    assert capfd.readouterr() == ("", "")


def test_a_teacher_is_copied_to_the_cache_and_computes_the_same(folder, tmp_path, tokenizer):
    copy = resolve(folder, tmp_path / "cache")
    assert copy.parent == tmp_path / "cache" / "teachers"
    ids = {"input_ids": torch.tensor([[2, 7, 9, 3]])}
    assert torch.equal(load(copy)(**ids).logits, load(folder)(**ids).logits)
    assert tokenizer_digest(load_tokenizer(copy)) == tokenizer_digest(load_tokenizer(folder))


def test_the_same_content_is_the_same_folder_however_it_is_filed(folder, tmp_path, tokenizer):
    first = resolve(folder, tmp_path / "cache")
    other = tmp_path / "elsewhere" / "teacher"
    bert(tokenizer).save_pretrained(other, max_shard_size="5KB")
    tokenizer.save_pretrained(other)
    assert len(list(other.glob("*.safetensors"))) > 1
    assert resolve(other, tmp_path / "cache") == first


def test_other_weights_are_another_folder(folder, tmp_path, tokenizer):
    first = resolve(folder, tmp_path / "cache")
    model = bert(tokenizer)
    with torch.no_grad():
        model.classifier.bias[0] += 1
    model.save_pretrained(folder)
    assert resolve(folder, tmp_path / "cache") != first


def test_a_damaged_copy_is_made_again(folder, tmp_path):
    copy = resolve(folder, tmp_path / "cache")
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[:-40], whole[:-1] + bytes([whole[-1] ^ 1])):
        weights.write_bytes(damaged)
        said: list[str] = []
        assert resolve(folder, tmp_path / "cache", said.append) == copy
        assert "is damaged; making it again" in said[0]
        assert digest(load(copy)) == digest(load(folder))


def test_the_digest_sees_weights_and_shape_but_not_the_version_that_saved_them(folder, tokenizer):
    found = digest(load(folder))
    saved = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(saved | {"transformers_version": "5.0.0"}))
    assert digest(load(folder)) == found
    (folder / "config.json").write_text(json.dumps(saved | {"hidden_act": "relu"}))
    assert digest(load(folder)) != found
    assert digest(bert(tokenizer, layer_norm_eps=1e-5)) != digest(bert(tokenizer))


def test_a_head_that_was_never_fine_tuned_is_refused(folder, tmp_path, tokenizer):
    (folder / "model.safetensors").unlink()
    BertModel(config(tokenizer)).save_pretrained(folder)
    reason = refused(folder, tmp_path)
    assert "classifier.bias, classifier.weight" in reason
    assert "an un-fine-tuned head" in reason
    assert "fit" in reason


def test_pickled_weights_are_refused_with_a_command_that_converts_them(folder, tmp_path):
    weights = load(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    reason = refused(folder, tmp_path)
    assert "no safetensors; the folder holds config.json, pytorch_model.bin" in reason
    code = re.search(r'python -c "(.*)"$', reason)[1]
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        exec(code, {})
    finally:
        os.chdir(before)
    assert resolve(tmp_path / "converted", tmp_path / "cache").is_dir()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", r"no config\.json.*the folder holds model\.safetensors"),
        ("model.safetensors", r"no safetensors"),
        ("tokenizer.json", r"no tokenizer.*the folder holds config\.json"),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused(folder, tmp_path, file, message):
    (folder / file).unlink()
    assert re.search(message, refused(folder, tmp_path))


def test_truncated_weights_are_refused(folder, tmp_path):
    os.truncate(folder / "model.safetensors", 3000)
    assert "can't be loaded" in refused(folder, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no/such/folder", "is no folder"),
        ("./missing", "is no folder"),
        ("a/b/c", "is no folder"),
        ("what is this?", "neither a folder here nor a hub id"),
        ("nobody/no-such-model", "hub can't be reached"),
        ("nobody/no-such-model@refs/pr/1", "hub can't be reached"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name, message):
    with pytest.raises(TeacherError, match=f"^teacher.model: .*{message}"):
        locate(name, "teacher.model")


def test_code_in_a_models_folder_is_never_run(folder, tmp_path):
    saved = json.loads((folder / "config.json").read_text())
    saved |= {
        "model_type": "theirs",
        "auto_map": {
            "AutoConfig": "theirs.Config",
            "AutoModelForSequenceClassification": "theirs.Model",
        },
    }
    (folder / "config.json").write_text(json.dumps(saved))
    ran = tmp_path / "ran"
    (folder / "theirs.py").write_text(f"open({str(ran)!r}, 'w').close()")
    assert "can't be loaded" in refused(folder, tmp_path)
    assert not ran.exists()


def test_a_slow_tokenizer_is_refused(tmp_path):
    ByT5Tokenizer().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(TeacherError, match="only a slow tokenizer \\(ByT5Tokenizer\\)"):
        load_tokenizer(tmp_path)


def test_a_teacher_of_another_number_of_classes_is_refused(folder, tmp_path):
    reason = refused(folder, tmp_path, task(("bad", "so so", "good")))
    assert "its head has 2 outputs, the task films needs 3 (bad, so so, good)" in reason


def test_a_regression_needs_one_output(folder, tmp_path):
    assert "needs 1: it is a regression" in refused(folder, tmp_path, task(()))


@pytest.mark.parametrize(
    ("trained_for", "labels", "said"),
    [
        (
            "multi_label_classification",
            np.arange(40) % 2,
            "several labels a row .* one class a row",
        ),
        (
            "single_label_classification",
            np.eye(2, dtype=np.float32)[np.arange(40) % 2],
            "one class a row .* several labels a row",
        ),
    ],
)
def test_a_head_that_was_trained_for_another_kind_of_task_is_refused(
    tokenizer, tmp_path, trained_for, labels, said
):
    bert(tokenizer, problem_type=trained_for).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    made = Rows((TEXTS,), labels)
    of = Task("films", made, made, made, ("negative", "positive"), "accuracy", "rows")
    reason = refused(tmp_path / "teacher", tmp_path, of)
    assert re.search(rf"trained for {said.replace(' .* ', '.*is of ')}", reason)


@pytest.mark.parametrize(
    ("names", "disordered", "unlike"),
    [
        (("negative", "positive"), False, False),
        (("NEGATIVE", "Positive "), False, False),
        (("POSITIVE", "NEGATIVE"), True, False),
        (("LABEL_0", "LABEL_1"), False, False),
        (("0", "1"), False, False),
        (("thumbs down", "thumbs up"), False, True),
    ],
)
def test_label_names_are_compared(names, disordered, unlike):
    ours = ("negative", "positive")
    assert suit.disordered(names, ours) is disordered
    assert suit.unlike(names, ours) is unlike


def test_names_are_compared_whatever_joins_their_words():
    assert suit.disordered(("not_entailment", "entailment"), ("Entailment", "not entailment"))
    assert not suit.disordered(("not-entailment", "entailment"), ("Not Entailment", "entailment"))


def test_generic_names_of_the_task_fit_any_teacher():
    assert not suit.unlike(("negative", "positive"), ("LABEL_0", "LABEL_1"))


def test_classes_in_another_order_are_refused(folder, tmp_path):
    reason = refused(folder, tmp_path, task(("positive", "negative")))
    assert "0 = negative, 1 = positive; the task's are 0 = positive, 1 = negative" in reason


def test_other_names_are_taken_by_number_and_said(folder, tmp_path):
    said: list[str] = []
    resolve(folder, tmp_path, said.append, task(("thumbs down", "thumbs up")))
    assert "negative, positive are taken, by number, for the task's thumbs down" in said[0]


def test_everything_that_does_not_suit_is_named_at_once(tokenizer):
    model = bert(tokenizer, ("a", "b", "c"), vocab_size=len(tokenizer) - 1)
    reasons = suit.misfits(model, tokenizer, task(), 17)
    assert len(reasons) == 3
    assert f"knows {len(tokenizer)} tokens, its embeddings {len(tokenizer) - 1}" in reasons[0]
    assert "at most 16 tokens; task.max_length is 17" in reasons[1]
    assert "3 outputs" in reasons[2]


def test_a_good_teacher_suits(tokenizer):
    assert suit.misfits(bert(tokenizer), tokenizer, task(), 16) == []


def test_robertas_first_positions_are_no_tokens():
    # Positions count from the padding index on: a table of 20 rows and index 1 reads 18 tokens.
    shape = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    roberta = RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=9, intermediate_size=8, max_position_embeddings=20, pad_token_id=1, **shape
        )
    )
    assert suit.positions(roberta) == 18
    ids = torch.full((1, 18), 5)
    assert roberta(input_ids=ids).logits.shape == (1, 2)
    with pytest.raises((IndexError, RuntimeError)):
        roberta(input_ids=torch.full((1, 19), 5))


def test_the_outline_of_a_model_is_its_config_and_tokenizer(folder):
    shape, tokenizer = teacher.outline(TeacherSpec(model=str(folder)), task(), 16)
    assert (shape.hidden_size, shape.num_hidden_layers) == (16, 1)
    assert len(tokenizer) == shape.vocab_size


@pytest.mark.real
def test_the_real_teacher_without_a_head_is_refused(shared, tmp_path):
    reason = refused(shared / "teachers" / "minilm-l6", tmp_path)
    assert "an un-fine-tuned head" in reason
