"""One trial, read top to bottom: from a draw of the space to a measured, saved student."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from tune_distill import (
    cache,
    families,
    general,
    initialise,
    measure,
    reading,
    student,
    tasks,
    taught,
)
from tune_distill.files import whole, write_atomically
from tune_distill.hardening import Adversaries, Rewording
from tune_distill.inputs import Inputs, teacher_config
from tune_distill.measure.accuracy import of_answers
from tune_distill.measure.attack_rows import FILE
from tune_distill.measure.guard import Guard
from tune_distill.measure.usage import Usage
from tune_distill.outcome import Outcome
from tune_distill.reading import Reading
from tune_distill.record import Rung
from tune_distill.signals import Needs
from tune_distill.space import Params
from tune_distill.spec import StudySpec, TrialConfig
from tune_distill.tasks import Prepared
from tune_distill.teacher.loading import quiet
from tune_distill.train import Teacher, Texts, heads_of, predict, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Report = Callable[[Rung], None]

REFERENCE_ROWS = 8  # kept beside the student, to check exports against


def run(
    spec: StudySpec,
    params: Params,
    inputs: Inputs,
    folder: Path,
    report: Report,
    *,
    threads: int = 1,
    device: str = "cpu",
) -> Outcome:
    """Trains, measures and saves the student of one draw.

    Args:
        spec: the study.
        params: a draw of its space, with a seed.
        inputs: what `prepare` made once for all trials.
        folder: the trial's own. A run that was interrupted and is run again with the same folder
            continues from the last finished epoch and ends in the same outcome.
        report: called at each rung.
        threads: of torch, from the trial's share of the machine.
        device: where to train.

    Returns:
        The measures; the student itself is in `folder / "student"`.

    Raises:
        Diverged: the loss is not finite.
    """
    torch.set_num_threads(threads)
    if device == "cuda":
        torch.cuda.empty_cache()  # what the last trial of this process held; others share the GPU
    config = TrialConfig.from_params(params)
    inputs = inputs.under(config.robust)
    seed = config.train.seed or 0
    own = reading.find(inputs.readings, config.student)
    task = tasks.open_prepared(own.task)
    model, basis = _student(config, own, task, seed, folder)
    if spec.general and inputs.general:
        general.teach(
            model,
            inputs.general,
            spec.general,
            basis=basis,
            device=device,
            checkpoint=folder / "general",
        )
    shapes = student.shape(teacher_config(inputs.teacher)), student.shape(model.config)
    signals = _signals(config.method.needs(*shapes)[0], inputs, own, device)

    tokenizer = reading.tokenizer(own)
    guard = Guard.of(spec, task, tokenizer, inputs.resources.open(device))
    usage = Usage(device) if spec.resources.system_metrics else None
    started, rungs, logits = time.time(), _read_rungs(folder), None
    for epoch in train(
        model,
        config.method,
        task.train if config.unlabelled else task.train.labelled(),
        config.train,
        seed=seed,
        teacher=signals,
        teacher_shape=shapes[0],
        heads=heads_of(config.method, shapes, seed, basis),
        hardening=config.hardening,
        texts=_texts(spec, config, inputs, own, task, device),
        device=device,
        checkpoint=folder / "checkpoint",
    ):
        logits = predict(model, task.search, device)
        score = of_answers(logits, task.search, task.metric).score
        kept = guard.score(model, device) if guard else None
        seconds = time.time() - started
        reached = (epoch.epoch, epoch.updates, score, epoch.losses, seconds)
        used = usage.read() if usage else {}
        rung = Rung(*reached, guard=kept, planned=epoch.planned, system=used)
        rungs[epoch.epoch] = rung
        _write_rungs(folder, rungs)
        report(rung)

    outcome = measure.measure(
        model,
        tokenizer,
        task,
        spec,
        device,
        resources=inputs.resources,
        rows=folder / FILE,
        logits=logits,
        teacher=taught.reference(inputs.teacher, inputs.answers, inputs.task, device),
    )
    _save(model, tokenizer, task, folder / "student")
    for checkpoint in ("checkpoint", "general"):
        shutil.rmtree(folder / checkpoint, ignore_errors=True)
    return outcome


def read_rungs(folder: Path) -> tuple[Rung, ...]:
    """All rungs that a trial has reached, over its restarts."""
    return tuple(_read_rungs(folder).values())


def reference_error(model: Path, reference: Path) -> float:
    """The largest difference of a saved model's logits from those that a trial kept.

    Args:
        model: a folder that Hugging Face loads.
        reference: the trial's `reference.safetensors`: inputs and logits of a few rows.
    """
    from transformers import AutoModelForSequenceClassification

    tensors = load_file(reference)
    expected = tensors.pop("logits")
    with quiet():
        loaded = AutoModelForSequenceClassification.from_pretrained(model, use_safetensors=True)
    with torch.inference_mode():  # it is in eval mode, as all that `from_pretrained` loads
        return float((loaded(**tensors).logits - expected).abs().max())


def _student(
    config: TrialConfig, own: Reading, task: Prepared, seed: int, folder: Path
) -> tuple[PreTrainedModel, torch.Tensor | None]:
    """The student before its first update, and the basis of what it took of its teacher's width.

    Where each of its tensors is from is filed.
    """
    source = reading.source(own)
    shape = student.config(config.student, source.config, task.label_names, task.kind)
    model = student.build(shape, seed)
    report = initialise.initialise(model, source, config.student)
    write_atomically(folder / "initialise.txt", f"{report}\n")
    return model, None if config.student.checkpoint else report.basis


def _signals(needs: Needs, inputs: Inputs, own: Reading, device: str) -> Teacher | None:
    """The teacher, as far as the method has a use for it."""
    if not needs:
        return None
    aligned = reading.alignment(own, inputs.teacher, inputs.task)
    return cache.source(
        inputs.signals, partial(reading.model, inputs.teacher), needs, device, aligned
    )


def _texts(
    spec: StudySpec,
    config: TrialConfig,
    inputs: Inputs,
    own: Reading,
    task: Prepared,
    device: str,
) -> Texts | None:
    """The training rows as texts, for a defence that changes them."""
    if not isinstance(config.hardening, Adversaries | Rewording):
        return None
    given = taught.given(spec, inputs.resources, config.hardening, inputs.augmented, device)
    return given.texts(task.rows("train").texts, reading.tokenizer(own), task.max_length)


def _save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: Prepared, folder: Path
) -> None:
    """The student as Hugging Face files, and a few rows with its logits; whole or not at all."""
    model.cpu()  # in eval mode since it was measured
    batch = task.search.batch(torch.arange(min(REFERENCE_ROWS, len(task.search))).numpy())
    inputs = families.taken(model, batch.inputs())
    with torch.inference_mode():
        logits = model(**inputs).logits
    with whole(folder) as partial, quiet():
        model.save_pretrained(partial)
        student.matched(tokenizer, model).save_pretrained(partial)
        save_file({**inputs, "logits": logits}, partial / "reference.safetensors")


def _read_rungs(folder: Path) -> dict[int, Rung]:
    try:
        rows = json.loads((folder / "rungs.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {row["epoch"]: Rung(**row) for row in rows}


def _write_rungs(folder: Path, rungs: dict[int, Rung]) -> None:
    rows = [asdict(rung) for _, rung in sorted(rungs.items())]
    write_atomically(folder / "rungs.json", json.dumps(rows))
