"""The rows that exported students are measured on: read once, for as many students as there are.

int8 answers one text at a time (`forms/onnx.py` says why), the others in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tune_distill import prepare, teacher
from tune_distill.export import beside
from tune_distill.export.figures import Figures, Scores
from tune_distill.forms import Served, computations
from tune_distill.measure.accuracy import of_answers
from tune_distill.measure.latency import Latency, latencies
from tune_distill.robustness import resources
from tune_distill.tasks import encode
from tune_distill.train import predict

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tune_distill.spec import StudySpec

Answers = Mapping[str, NDArray[np.float32]]  # by split: (rows, classes)


@dataclass(frozen=True, eq=False)
class Student:
    """A student on the bench.

    Attributes:
        files: of its forms, by name: `pytorch`, and `onnx` and `int8` where they were made.
        errors: of a logit, from PyTorch's, by form.
        attacked: what became of its trial's attacked rows (`measure/attack_rows.py`).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    files: Mapping[str, Path]
    errors: Mapping[str, float]
    attacked: Path


@dataclass(frozen=True, eq=False)
class _Taught:
    """The teacher, and how it does."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    heldout: Scores


class Bench:
    """The rows of a study.

    Args:
        spec: the study.
        cache: of its storage.
        taught: the folder of its teacher; None where it is not there any more.
        say: hears what is done.
    """

    def __init__(
        self, spec: StudySpec, cache: Path, taught: Path | None, say: Callable[[str], None]
    ) -> None:
        self._spec, self._folder, self._say = spec, taught, say
        self.task = prepare.load_task(spec, say, cache)
        self._heldout = {"heldout": self.task.heldout, **self.task.more}
        self._resources = resources.prepare(spec, cache, say)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each held-out split has."""
        return {name: len(rows) for name, rows in self._heldout.items()}

    def measure(self, student: Student) -> dict[str, Figures]:
        """The figures of a student's forms, by name, and those of its teacher."""
        self._say(f"measuring {', '.join(student.files)}: held-out rows, latency")
        forms: dict[str, PreTrainedModel | Served] = {
            name: student.model
            if name == "pytorch"
            else Served(path, student.model, alone=name == "int8")
            for name, path in student.files.items()
        }
        answers = {name: self._answers(form, student.tokenizer) for name, form in forms.items()}
        times = self._times(forms, student.tokenizer)
        found = {
            name: Figures(
                path.stat().st_size / 1e6,
                self._scores(answers[name]),
                times[name],
                max_error=student.errors.get(name),
            )
            for name, path in student.files.items()
        }
        int8 = forms.get("int8")
        if isinstance(int8, Served) and self.task.kind == "single_label":
            found["int8"] = self._beside(found["int8"], int8, answers, student)
        if taught := self._taught:
            size = 4e-6 * taught.model.num_parameters()
            found["teacher"] = Figures(size, taught.heldout, times["teacher"])
        return found

    @cached_property
    def _taught(self) -> _Taught | None:
        if self._folder is None:
            return None
        model, tokenizer = teacher.load(self._folder), teacher.load_tokenizer(self._folder)
        return _Taught(model, tokenizer, self._scores(self._answers(model, tokenizer)))

    def _answers(
        self, form: PreTrainedModel | Served, tokenizer: PreTrainedTokenizerBase
    ) -> Answers:
        length = self._spec.task.max_length
        return {
            split: predict(form, encode(rows, tokenizer, length))  # type: ignore[arg-type]
            for split, rows in self._heldout.items()
        }

    def _scores(self, answers: Answers) -> Scores:
        metrics, splits = (self.task.metric, *self.task.further_metrics), self.task.splits()
        return {
            split: {metric: of_answers(given, splits[split], metric) for metric in metrics}
            for split, given in answers.items()
        }

    def _timed(
        self, form: PreTrainedModel | Served, tokenizer: PreTrainedTokenizerBase
    ) -> list[Callable[[], object]]:
        """What computes each of the texts that are timed; they are of the search split."""
        rows = encode(self.task.search, tokenizer, self._spec.task.max_length)
        return computations(form, rows)

    def _times(
        self, forms: Mapping[str, PreTrainedModel | Served], tokenizer: PreTrainedTokenizerBase
    ) -> dict[str, Latency]:
        """The latencies of all forms and of the teacher."""
        timed = {name: self._timed(form, tokenizer) for name, form in forms.items()}
        if taught := self._taught:
            timed["teacher"] = self._timed(taught.model, taught.tokenizer)
        return latencies(timed)

    def _beside(
        self, figures: Figures, int8: Served, answers: Mapping[str, Answers], student: Student
    ) -> Figures:
        """The figures of int8 with what its attacks find, and beside those of PyTorch."""
        found = None
        if self._spec.attacked:
            self._say(f"attacking int8 with {', '.join(self._spec.robustness.attacks)}")
            found = beside.attacked(int8, student.tokenizer, self.task, self._spec, self._resources)
        own, theirs = (answers[form]["heldout"].argmax(axis=1) for form in ("int8", "pytorch"))
        labels = np.asarray(self.task.heldout.labels)
        against = beside.against(own, theirs, labels, found, student.attacked)
        return replace(figures, robust=beside.rates(found) if found else {}, against=against)
