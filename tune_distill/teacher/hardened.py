"""A hardened teacher: a study's teacher, fine-tuned further on the task with a defence.

It is made once for a teacher and a setting of the defence, before the first trial, and kept like
any teacher, under a hash of all that it hangs on: that teacher, the defence with its knobs and what
it reads, the training, the rows. Its students start from it, learn from its signals, and are
compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_distill.errors import Diverged, TeacherError
from tune_distill.hardening import Adversaries, Hardening, Rewording
from tune_distill.robustness.frozen import recipe_of
from tune_distill.robustness.opened import NONE, Opened
from tune_distill.spec import TeacherSpec, TrainSpec
from tune_distill.tasks import Task
from tune_distill.teacher.adopt import slug
from tune_distill.teacher.builtin import SMALL
from tune_distill.teacher.fitting import Fit, fit
from tune_distill.teacher.loading import digest, load, load_tokenizer
from tune_distill.teacher.obtain import key
from tune_distill.teacher.store import Say
from tune_distill.train.texts import Texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tune_distill.robustness.attacks import Profile
    from tune_distill.robustness.frozen import Found

LEARNING_RATE = 3e-5  # of a teacher whose own isn't known


@dataclass(frozen=True)
class Given:
    """What defences that change words read, whoever is hardened."""

    resources: Opened = NONE
    profile: Profile = "lax"
    frozen: Found | None = None  # adversarial rows, of `augment`

    def texts(
        self, columns: tuple[list[str], ...], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> Texts:
        """The rows of train as texts, beside it."""
        table = self.resources.table
        return Texts(
            columns, tokenizer, max_length, table, self.resources, self.profile, self.frozen
        )

    def read_by(self, defence: Hardening) -> str:
        """What of it a defence reads, told apart by content; nothing where it reads nothing."""
        if isinstance(defence, Adversaries):
            own = self.resources.bound(recipe_of(defence, self.profile)).canonical()
            return own if self.frozen is None else f"{own} {self.frozen.digest}"
        source = getattr(defence, "source", "")
        table = self.resources.table if source == "table" else None
        return table.digest if table else ""


def harden(
    defence: Hardening,
    plain: Path,
    spec: TeacherSpec,
    task: Task,
    max_length: int,
    given: Given,
    *,
    root: Path,
    say: Say,
    device: str,
) -> Path:
    """The folder of a hardened teacher, made if it is not there yet.

    Args:
        defence: as of `Hardening.in_teacher`.
        plain: the folder of the study's teacher.
        spec: what the study says of it.
        task: what it teaches.
        max_length: the longest input, in tokens.
        given: what the defence reads.
        root: of all teachers.
        say: hears of progress, a line at a time.
        device: where to train.

    Raises:
        TeacherError: the training diverges.
    """
    task = task if defence.unlabelled else task.labelled()
    model, tokenizer = load(plain), load_tokenizer(plain)
    identity = {"teacher": digest(model), "defence": repr(defence), "reads": given.read_by(defence)}

    def make() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        model.requires_grad_(True)
        return model, tokenizer

    plan = Fit(
        make,
        training(spec),
        spec.harden.seed,
        max_length,
        f"{plain.name}, hardened by {defence.shown}",
        identity,
        defence,
        given.texts(task.train.texts, tokenizer, max_length)
        if isinstance(defence, Adversaries | Rewording)
        else None,
    )
    folder = root / f"{slug(plain.name)}-{defence.name}-{key(plan, task)}"
    if not folder.is_dir():
        say(f"hardening the teacher by {defence.shown}: {plan.config.epochs} epochs")
    try:
        fit(plan, task, folder, say, device)
    except Diverged as error:
        raise TeacherError(
            f"space.robust.{defence.name}: the teacher's training with it diverges ({error}); "
            "a smaller perturbation or a lower teacher.harden.learning_rate works"
        ) from None
    return folder


def training(spec: TeacherSpec) -> TrainSpec:
    """How a study's teacher is fine-tuned further."""
    rate = spec.harden.learning_rate
    if rate is None and spec.fit is not None:
        rate = spec.fit.learning_rate
    elif rate is None:
        rate = SMALL.train.learning_rate if spec.builtin else LEARNING_RATE
    values = spec.harden.model_dump(exclude={"seed", "learning_rate"})
    return TrainSpec(learning_rate=rate, **values)
