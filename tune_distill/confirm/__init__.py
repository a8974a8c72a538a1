"""Whether a front is what it seems: fresh seeds, the held-out rows, and what the figures can claim.

A search chooses by what it measures, so the best of many trials is in part the luckiest. Here its
front is trained again on seeds that it never saw, beside controls, and read once on rows that
nothing of it has read. `plan` says what is trained, `run` is one such trial, `read` what is kept
of the held-out rows, `latency` times what came of it, `samples` gathers it, `compared` and `claims`
compare it, `summary` is all of it.
"""

from tune_distill.confirm.plan import Candidate, Slot, candidates, schedule
from tune_distill.confirm.run import Confirming
from tune_distill.confirm.summary import REPORT, summary

__all__ = ["REPORT", "Candidate", "Confirming", "Slot", "candidates", "schedule", "summary"]
