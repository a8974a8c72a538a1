"""The front to look at: records -> plain data (front.json) -> one page (front.html)."""

from __future__ import annotations

from tune_distill.plots.data import SCHEMA, front_data
from tune_distill.plots.page import report
from tune_distill.plots.study import as_json, students, study_data

__all__ = ["SCHEMA", "as_json", "front_data", "report", "students", "study_data"]
