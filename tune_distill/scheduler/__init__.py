"""Stopping trials early: which are not worth the rest of their training.

`rules` judges one trial among those of its rung, `rungs` remembers who reached which, `early` says
what of a study's objectives is known there; `tune` is all that Ray Tune sees of it. Tune keeps no
scheduler's state, and needs to keep none: the trials' own rungs are on disk, and are told again.
"""

from tune_distill.scheduler.early import EarlyStopping
from tune_distill.scheduler.rules import Verdict
from tune_distill.scheduler.tune import StopEarly, rung_of

__all__ = ["EarlyStopping", "StopEarly", "Verdict", "rung_of"]
