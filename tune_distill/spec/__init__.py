"""A study: one short YAML as frozen models, every mistake named at once with its path.

name: sst2
task: {dataset: glue/sst2}
teacher: {fit: {base: google-bert/bert-base-uncased}}
space:
student: {layers: {int: [2, 6]}, hidden_size: [128, 256, 312], heads: [4, 8, 12]}
method: {finetune: {}, kd: {temperature: {log: [1.0, 20.0]}, alpha: {uniform: [0.3, 1.0]}}}
train: {learning_rate: {log: [2.0e-5, 7.0e-4]}, epochs: 3}
objectives: {accuracy: {goal: max, reference: 0.5}, size_mb: {goal: min, reference: 100.0}}
search: {trials: 60}
"""

from __future__ import annotations

from tune_distill.spec.attacks import RobustnessSpec
from tune_distill.spec.knobs import StudentSpec, TrainSpec, TrialConfig
from tune_distill.spec.load import dump, load, read, resolve
from tune_distill.spec.study import ResourceSpec, SearchSpec, StudySpec
from tune_distill.spec.task import TaskSpec
from tune_distill.spec.teaching import FitSpec, GeneralSpec, TeacherSpec

__all__ = [
    "FitSpec",
    "GeneralSpec",
    "ResourceSpec",
    "RobustnessSpec",
    "SearchSpec",
    "StudentSpec",
    "StudySpec",
    "TaskSpec",
    "TeacherSpec",
    "TrainSpec",
    "TrialConfig",
    "dump",
    "load",
    "read",
    "resolve",
]
