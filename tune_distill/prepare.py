"""What a search does once, before its first trial: the task, the teacher, the teacher's signals."""

from __future__ import annotations
