"""A search in MLflow: a run for the study, nested runs for its trials; none lost, none doubled.

    driver ── Tracker ──> outbox/changes.jsonl ── Sender (a thread) ──> Writer ──> MLflow

The driver only appends to a file, so a tracking server that is slow or away costs it nothing. The
thread sends what was appended, in order and in batches, and notes on disk how far it came; what
could not be sent waits for the next run of the same search. Sending twice is the same as sending
once: runs are looked up by tags before they are created, and every change carries its own time.
"""

from __future__ import annotations

from tune_distill.track.change import DatasetUse
from tune_distill.track.tracker import Tracker

__all__ = ["DatasetUse", "Tracker"]
