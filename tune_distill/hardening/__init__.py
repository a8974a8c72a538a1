"""Robust training: one defence a file, all under one contract, over any distillation method.

A defence is a frozen dataclass of its knobs. Where it holds (`stage`), its `learn` takes the place
of an update's one forward and backward pass: of the student's training, or, at the stage teacher,
of a further training of its teacher. `train/hardened.py` is what it works on.
"""

from __future__ import annotations

from tune_distill.hardening.adversaries import Adversaries
from tune_distill.hardening.ard import ARD
from tune_distill.hardening.attack import Attack
from tune_distill.hardening.augment import Augment
from tune_distill.hardening.base import Hardening, Update
from tune_distill.hardening.fgm import FGM
from tune_distill.hardening.freelb import FreeLB
from tune_distill.hardening.ganbert import GanBert
from tune_distill.hardening.pgd import PGD
from tune_distill.hardening.random_char import RandomChar
from tune_distill.hardening.random_table import RandomTable
from tune_distill.hardening.rewording import Rewording
from tune_distill.hardening.rslad import RSLAD
from tune_distill.hardening.vat import VAT

HARDENINGS: dict[str, type[Hardening]] = {
    "random_char": RandomChar,
    "random_table": RandomTable,
    "augment": Augment,
    "attack": Attack,
    "fgm": FGM,
    "pgd": PGD,
    "freelb": FreeLB,
    "vat": VAT,
    "ard": ARD,
    "rslad": RSLAD,
    "ganbert": GanBert,
}

__all__ = ["HARDENINGS", "Adversaries", "Augment", "Hardening", "Rewording", "Update"]
