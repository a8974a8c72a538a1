"""The general phase: hidden words, a head at these alone, a student taught once."""

from __future__ import annotations

import copy
import shutil

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from tests import tiny
from tune_distill import general, signals, student
from tune_distill.draws import infeasible
from tune_distill.errors import SpecError, TeacherError
from tune_distill.general import phase
from tune_distill.general.corpus import open_text
from tune_distill.general.words import Masked
from tune_distill.methods import METHODS, ModelShape
from tune_distill.prepare import prepare
from tune_distill.signals import Needs
from tune_distill.spec import GeneralSpec, resolve
from tune_distill.teacher import load_tokenizer
from tune_distill.train import train
from tune_distill.trial import run

VERSIONS = ("bert", "roberta", "distilbert", "albert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A task, its teacher, the masked model that it might come from, and some text."""
    path = tmp_path_factory.mktemp("general")
    tiny.write_task(path, train=160)
    tiny.write_teacher(path / "teacher", layers=2, hidden_size=32)
    tokenizer = load_tokenizer(path / "teacher")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        BertForMaskedLM(config).save_pretrained(path / "masked")
    tokenizer.save_pretrained(path / "masked")
    texts = [text for text, _ in tiny.texts(300, seed=7)]
    (path / "text.txt").write_text("\n".join([*texts, "", "  "]))
    return path


def spec_of(folder, **keys):
    values = {
        "text": str(folder / "text.txt"),
        "masked_lm": str(folder / "masked"),
        "train": {"learning_rate": 3.0e-3, "batch_size": 32, "epochs": 2},
    }
    return GeneralSpec.model_validate({**values, **keys})


def corpus_of(folder, root, **keys):
    tokenizer = load_tokenizer(folder / "teacher")
    said = []
    made = general.prepare(spec_of(folder, **keys), tokenizer, 32, root, said.append)
    return made, said


def pupil(layers=1, hidden_size=16, vocabulary=None):
    config = BertConfig(
        vocab_size=vocabulary or 74,
        hidden_size=hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    return student.build(config, seed=3)


def test_words_are_hidden_as_bert_hides_them(folder, tmp_path):
    corpus, said = corpus_of(folder, tmp_path)
    assert said[0].startswith("general phase: 300 texts of general.text")  # blank lines are none
    text = open_text(corpus)
    whole = text.offsets
    hidden = masked = kept = other = words = 0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(12):
            batch = text.batch(np.arange(300))
            true = torch.zeros_like(batch.input_ids)
            for row in range(300):
                own = text.tokens[whole[row] : whole[row + 1]].astype(np.int64)
                true[row, : len(own)] = torch.from_numpy(own)
            assert torch.equal(true[batch.hidden], batch.labels)
            assert torch.equal(true[~batch.hidden], batch.input_ids[~batch.hidden])
            special = torch.isin(true, torch.tensor([0, 2, 3]))  # [PAD], [CLS], [SEP]
            assert not (batch.hidden & special).any()
            words += int((~special).sum())
            shown = batch.input_ids[batch.hidden]
            hidden += len(shown)
            masked += int((shown == text.mask_id).sum())
            kept += int((shown == batch.labels).sum())
            other += int(((shown != batch.labels) & (shown != text.mask_id)).sum())
    # Four standard deviations of a share p of n: 4 sqrt(p (1 - p) / n)
    assert hidden / words == pytest.approx(0.15, abs=4 * (0.15 * 0.85 / words) ** 0.5)
    # Another word is by chance the same one, or [MASK], in 1 of 74 cases each.
    for count, share in ((masked, 0.8 + 0.1 / 74), (kept, 0.1 + 0.1 / 74), (other, 0.1 * 72 / 74)):
        assert count / hidden == pytest.approx(share, abs=4 * (share * (1 - share) / hidden) ** 0.5)


def test_a_batch_of_few_words_hides_one_at_least(folder, tmp_path):
    text = open_text(corpus_of(folder, tmp_path)[0])
    with torch.random.fork_rng():
        for seed in range(30):
            torch.manual_seed(seed)
            batch = text.batch(np.array([0]))
            assert len(batch.labels) == int(batch.hidden.sum()) >= 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_head_at_the_hidden_words_is_that_of_the_whole_model(version, folder, tmp_path):
    """And the signals of its inside are those of all tokens, in each family of students."""
    import transformers

    text = open_text(corpus_of(folder, tmp_path)[0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batch = text.batch(np.arange(6))
        own = tiny.teacher(version, layers=2, hidden_size=16, heads=2, classes=2, seed=0)
        config = copy.deepcopy(own.config)
        config.vocab_size = 100
        model = transformers.AutoModelForMaskedLM.from_config(config).eval()
    with torch.no_grad():
        whole = model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            output_hidden_states=True,
        )
        found = signals.run(Masked(model), batch.inputs(), Needs(logits=True, hidden=(0, 2)))
    torch.testing.assert_close(found.logits, whole.logits[batch.hidden])
    torch.testing.assert_close(found.hidden[2], whole.hidden_states[2])
    torch.testing.assert_close(found.hidden[0], whole.hidden_states[0])


@pytest.mark.parametrize(
    "method",
    [
        None,
        {"truncated_kd": {"classes": 10, "temperature": 1.0, "alpha": 1.0}},
        {"minilm2": {"relation_heads": 4}},
        {"tinybert": {}},
        {"finetune": {}},
    ],
)
def test_a_student_learns_the_hidden_words_and_keeps_its_head(
    folder, tmp_path, method, monkeypatch
):
    keys = {} if method is None else {"method": method}
    keys["train"] = {"learning_rate": 5.0e-3, "batch_size": 16, "epochs": 6, "warmup": 0.0}
    corpus, _ = corpus_of(folder, tmp_path, **keys)
    model = pupil()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    spec = spec_of(folder, **keys)
    epochs = []

    def recorded(*given, **more):
        for epoch in train(*given, **more):
            epochs.append(epoch)
            yield epoch

    monkeypatch.setattr(phase, "train", recorded)
    general.teach(model, corpus, spec, basis=None, device="cpu", checkpoint=tmp_path / "c")
    after = model.state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "bert.embeddings.word_embeddings.weight" in changed
    assert "bert.encoder.layer.0.attention.self.query.weight" in changed
    assert not any(name.startswith(("classifier", "bert.pooler")) for name in changed)
    assert len(epochs) == 6
    # Of tinybert the last epochs, which have its second phase alone.
    first, last = (
        epochs[at].losses for at in ((0, -1) if method != {"tinybert": {}} else (-2, -1))
    )
    assert last["total"] < first["total"]


def test_equal_students_are_taught_once_and_the_phase_is_the_same_each_time(
    folder, tmp_path, monkeypatch
):
    corpus, _ = corpus_of(folder, tmp_path / "one")
    other, _ = corpus_of(folder, tmp_path / "two")
    spec = spec_of(folder)
    models = [pupil() for _ in range(3)]

    def teach(model, where):
        general.teach(model, where, spec, basis=None, device="cpu", checkpoint=tmp_path / "c")

    teach(models[0], corpus)
    shutil.rmtree(tmp_path / "c")
    teach(models[2], other)
    monkeypatch.setattr(phase, "_taught", lambda *_: pytest.fail("taught twice"))
    teach(models[1], corpus)
    for name, tensor in models[0].state_dict().items():
        assert torch.equal(tensor, models[1].state_dict()[name]), name
        assert torch.equal(tensor, models[2].state_dict()[name]), name
    with pytest.raises(pytest.fail.Exception, match="taught twice"):
        teach(pupil(layers=2), corpus)


def test_a_masked_model_of_other_tokens_or_without_its_head_is_refused(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder / "masked", other)
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text.replace('"lovely"', '"lavely"'))
    with pytest.raises(TeacherError, match=r"general.masked_lm: .* reads other tokens"):
        corpus_of(folder, tmp_path, masked_lm=str(other))
    with pytest.raises(TeacherError, match=r"not a masked language model with its head"):
        corpus_of(folder, tmp_path, masked_lm=str(folder / "teacher"))


def test_what_cannot_have_the_phase_is_refused_before_it_starts(folder):
    config = BertConfig.from_pretrained(folder / "masked")
    drawn = ModelShape(1, 16, 2)
    check = general.refusals
    assert check(METHODS["distilbert"](), config, drawn, whole_vocabulary=True) == []
    (reason,) = check(METHODS["minilm"](), config, drawn, whole_vocabulary=True)
    assert reason.startswith("general phase: minilm compares attention head by head")
    (reason,) = check(METHODS["distilbert"](), config, drawn, whole_vocabulary=False)
    assert "student.vocab: full and no checkpoint work" in reason


def document(folder, **space):
    return {
        "name": "general",
        "task": {
            "files": {name: str(folder / f"{name}.csv") for name in ("train", "validation")},
            "text": "sentence",
            "max_length": 32,
        },
        "teacher": {"model": str(folder / "teacher")},
        "general": {
            "text": str(folder / "text.txt"),
            "masked_lm": str(folder / "masked"),
            "train": {"epochs": 1},
        },
        "space": {
            "student": {"layers": 1, "hidden_size": 16, "heads": 4, "vocab": [70, "full"]},
            "method": "kd",
            "train": {"epochs": 1},
            **space,
        },
        "objectives": {"accuracy": {"goal": "max", "reference": 0.4}},
    }


def test_a_trial_passes_through_the_phase_first(folder, tmp_path):
    plain = document(folder)
    del plain["general"]
    params = {
        **{"student.layers": 1, "student.hidden_size": 16, "student.heads": 4},
        **{"student.vocab": "full", "method": "kd", "train.epochs": 1, "train.seed": 3},
    }
    losses = []
    for name, one in (("with", document(folder)), ("without", plain)):
        spec = resolve(one)
        inputs = prepare(spec, tmp_path / "cache", lambda _: None)
        assert infeasible(spec, inputs, params) == []
        place = tmp_path / name
        place.mkdir()
        rungs = []
        run(spec, params, inputs, place, rungs.append)
        assert not (place / "general").exists()
        losses.append(rungs[0].losses["total"])
        if name == "with":
            assert len(list(inputs.general.students.glob("*.safetensors"))) == 1
            (reason,) = infeasible(spec, inputs, {**params, "student.vocab": 70})
            assert "which of the teacher's tokens were hidden" in reason
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ({"kd": {}, "pkd": {}}, "general: give one method; got kd, pkd"),
        ({"kd": {"alpha": [0.1, 0.2]}}, r"method.kd.alpha: give one value"),
        ({"kd": {"alfa": 0.1}}, r"general.method.kd.alfa: unknown"),
        ({"kd": {"alpha": 2.0}}, r"general.method.kd.alpha: .*less than or equal to 1"),
    ],
)
def test_a_general_method_that_will_not_do_is_named(folder, method, reason):
    one = document(folder)
    one["general"]["method"] = method
    with pytest.raises(SpecError, match=reason):
        resolve(one)
