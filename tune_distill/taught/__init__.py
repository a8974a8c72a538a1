"""Who teaches: a study's teacher, or one that a defence hardened; what is made of each, once.

    folder     Hugging Face files
    signals    on train, for the methods that ask for them
    answers    on the search split, which the students' own are compared with (measure/loyalty.py)
    outcome    its own measures: accuracy, size, robustness under the study's attacks

Lessons(spec, task, ...)         makes them ready before the first trial
answered(model, task, ...)       where a teacher's answers are filed; filed(folder) reads them
given(spec, resources, ...)      what a defence that changes words reads
reference(folder, answers, ...)  a teacher as its students are compared with it
"""

from __future__ import annotations

from tune_distill.taught.made import Lessons, Taught, answered, refuse
from tune_distill.taught.opened import Augmented, filed, given, reference

__all__ = ["Augmented", "Lessons", "Taught", "answered", "filed", "given", "reference", "refuse"]
