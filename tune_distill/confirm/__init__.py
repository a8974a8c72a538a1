"""Whether a front is what it seems: fresh seeds, the held-out rows, and what the figures can claim.

A search chooses by what it measures, so the best of many trials is in part the luckiest. Here its
front is trained again on seeds that it never saw, beside controls, and read once on rows that
nothing of it has read. `plan` says what is trained, `run` is one such trial, `read` what is kept
of the held-out rows, `samples` gathers it, `claims` compares it, `summary` is all of it.
"""

from tune_distill.confirm.plan import Candidate, Slot, candidates, schedule
from tune_distill.confirm.run import run
from tune_distill.confirm.summary import summary

__all__ = ["Candidate", "Slot", "candidates", "run", "schedule", "summary"]
